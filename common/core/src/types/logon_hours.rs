//! The hours of the week in which an account may log on: the attribute logonHours.

use std::fmt;

use serde::{Deserialize, Serialize};

const HOUR: u64 = 3600;
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// A week of hours in UTC, a bit each: bit 0 of byte 0 is Sunday 00:00 to 00:59, and a bit that is set permits
/// (MS-ADA1 2.376, logonHours; MS-SAMR 2.2.6.5, LogonHours).
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogonHours([u8; 21]);

impl LogonHours {
    /// Reads the attribute. Empty: no restriction. What a short value leaves out is permitted, as KDCs read it.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let mut week = [0xff; 21];
        for (to, from) in week.iter_mut().zip(bytes) {
            *to = *from;
        }
        Some(Self(week))
    }

    /// Whether this Unix time (seconds) lies in a permitted hour.
    pub fn permit(&self, unix: u64) -> bool {
        // 1970 began on a Thursday, the week of the attribute on a Sunday.
        let hours = unix / HOUR + 4 * 24;
        self.hour(usize::try_from(hours % (7 * 24)).unwrap_or_default())
    }

    /// Hour of the week, 0 to 167.
    fn hour(&self, at: usize) -> bool {
        self.0[at / 8] >> (at % 8) & 1 == 1
    }
}

/// The permitted hours of each day, in UTC: `Mon 08-18, Tue 08-12 14-18`; `never` where there are none.
impl fmt::Display for LogonHours {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (day, name) in DAYS.iter().enumerate() {
            let mut named = false;
            let mut hour = 0;
            while hour < 24 {
                let run = (hour..24).take_while(|hour| self.hour(day * 24 + hour)).count();
                if run > 0 {
                    if !named {
                        write!(out, "{}{name}", if first { "" } else { ", " })?;
                        (named, first) = (true, false);
                    }
                    write!(out, " {hour:02}-{:02}", hour + run)?;
                }
                hour += run + 1;
            }
        }
        if first { out.write_str("never") } else { Ok(()) }
    }
}

impl fmt::Debug for LogonHours {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LogonHours({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-15 was a Sunday.
    const SUNDAY: u64 = 1_794_700_800;

    fn week(hours: impl IntoIterator<Item = usize>) -> LogonHours {
        let mut bytes = [0; 21];
        for hour in hours {
            bytes[hour / 8] |= 1 << (hour % 8);
        }
        LogonHours::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn the_first_bit_is_the_first_hour_of_sunday_in_utc() {
        let mut bytes = [0; 21];
        bytes[0] = 0x01;
        let hours = LogonHours::from_bytes(&bytes).unwrap();
        assert!(hours.permit(SUNDAY) && hours.permit(SUNDAY + HOUR - 1));
        assert!(!hours.permit(SUNDAY - 1) && !hours.permit(SUNDAY + HOUR));
        assert_eq!(hours.to_string(), "Sun 00-01");
    }

    #[test]
    fn the_last_bit_is_the_last_hour_of_saturday() {
        let mut bytes = [0; 21];
        bytes[20] = 0x80;
        let hours = LogonHours::from_bytes(&bytes).unwrap();
        assert!(hours.permit(SUNDAY - 1) && hours.permit(SUNDAY - HOUR));
        assert!(!hours.permit(SUNDAY - HOUR - 1) && !hours.permit(SUNDAY));
        assert_eq!(hours.to_string(), "Sat 23-24");
    }

    #[test]
    fn every_bit_is_its_own_hour() {
        for at in 0..168_usize {
            let hours = week([at]);
            for hour in 0..168_usize {
                assert_eq!(hours.permit(SUNDAY + hour as u64 * HOUR + 59 * 60), hour == at, "{at} {hour}");
            }
        }
    }

    /// Monday to Friday from 08:00 to 18:00, as the Windows console writes it for a user in UTC: 00 00 00 00 ff 03 ...
    #[test]
    fn office_hours_as_windows_writes_them() {
        let mut bytes = [0; 21];
        for day in 1..6 {
            bytes[day * 3 + 1] = 0xff;
            bytes[day * 3 + 2] = 0x03;
        }
        let hours = LogonHours::from_bytes(&bytes).unwrap();
        assert_eq!(hours.to_string(), "Mon 08-18, Tue 08-18, Wed 08-18, Thu 08-18, Fri 08-18");
        let monday = SUNDAY + 24 * HOUR;
        assert!(hours.permit(monday + 8 * HOUR) && hours.permit(monday + 18 * HOUR - 1));
        assert!(!hours.permit(monday + 8 * HOUR - 1) && !hours.permit(monday + 18 * HOUR) && !hours.permit(SUNDAY));
    }

    #[test]
    fn none_all_and_parts_of_a_week() {
        assert_eq!(LogonHours::from_bytes(&[]), None);
        assert_eq!(LogonHours::from_bytes(&[0; 21]).unwrap().to_string(), "never");
        assert!((0..168).all(|hour| !LogonHours::from_bytes(&[0; 21]).unwrap().permit(SUNDAY + hour * HOUR)));
        let short = LogonHours::from_bytes(&[0]).unwrap();
        assert!(!short.permit(SUNDAY) && short.permit(SUNDAY + 8 * HOUR));
        assert_eq!(week([10, 11, 14]).to_string(), "Sun 10-12 14-15");
    }
}
