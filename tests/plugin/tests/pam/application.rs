//! A PAM application: the real libpam, with a conversation that a test scripts. FFI edge.

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::time::Duration;

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start(service: *const c_char, user: *const c_char, conv: *const Conv, pamh: *mut *mut c_void) -> c_int;
    fn pam_end(pamh: *mut c_void, status: c_int) -> c_int;
    fn pam_authenticate(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_setcred(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_acct_mgmt(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_open_session(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_close_session(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_chauthtok(pamh: *mut c_void, flags: c_int) -> c_int;
    fn pam_set_item(pamh: *mut c_void, item: c_int, value: *const c_void) -> c_int;
    fn pam_get_item(pamh: *const c_void, item: c_int, value: *mut *const c_void) -> c_int;
    fn pam_getenvlist(pamh: *mut c_void) -> *mut *mut c_char;
}

/// Numbers of `<security/_pam_types.h>`.
#[allow(missing_docs)]
pub mod codes {
    pub const SUCCESS: i32 = 0;
    pub const SYSTEM_ERR: i32 = 4;
    pub const PERM_DENIED: i32 = 6;
    pub const AUTH_ERR: i32 = 7;
    pub const AUTHINFO_UNAVAIL: i32 = 9;
    pub const USER_UNKNOWN: i32 = 10;
    pub const MAXTRIES: i32 = 11;
    pub const NEW_AUTHTOK_REQD: i32 = 12;
    pub const ACCT_EXPIRED: i32 = 13;
    pub const SESSION_ERR: i32 = 14;
    pub const CRED_ERR: i32 = 17;
    pub const CONV_ERR: i32 = 19;
    pub const AUTHTOK_ERR: i32 = 20;
    pub const CHANGE_EXPIRED: i32 = 0x20;
    pub const SILENT: i32 = 0x8000;
    pub const DISALLOW_NULL: i32 = 1;
    pub const ESTABLISH_CRED: i32 = 2;
    pub const DELETE_CRED: i32 = 4;
    pub const REINITIALIZE_CRED: i32 = 8;
    pub const REFRESH_CRED: i32 = 16;
}

#[repr(C)]
struct Conv {
    call: extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *mut c_void,
}

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

/// An answer to a prompt that is none: the application gives a null pointer.
pub const NOTHING: &str = "(no answer)";

/// The person at the other end.
#[derive(Default)]
pub struct Person {
    answers: VecDeque<String>,
    /// How long the person thinks before each answer.
    pub slow: Duration,
    /// Prompts that were shown.
    pub prompts: Vec<String>,
    /// Sentences that were shown, errors and information alike.
    pub read: Vec<String>,
    /// Delays that libpam was asked for after a failure, in microseconds.
    pub delays: Vec<u32>,
}

/// One PAM transaction of the service `entra-test`.
pub struct Login {
    handle: *mut c_void,
    person: Box<Person>,
}

impl Login {
    /// Begins; `answers` go to the prompts in turn, and a prompt without an answer is a person who hung up.
    pub fn new(user: Option<&str>, answers: &[&str]) -> Self {
        let answers = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let mut person = Box::new(Person { answers, ..Person::default() });
        let conv = Conv { call: converse, data: (&raw mut *person).cast() };
        let user = user.map(|name| CString::new(name).unwrap());
        let mut handle = std::ptr::null_mut();
        // SAFETY: C strings and the conversation live through the call, which copies them; the person lives in a box as
        // long as the handle.
        let code = unsafe {
            let name = user.as_ref().map_or(std::ptr::null(), |name| name.as_ptr());
            pam_start(c"entra-test".as_ptr(), name, &raw const conv, &raw mut handle)
        };
        assert_eq!(code, 0, "pam_start");
        // SAFETY: item 10 is PAM_FAIL_DELAY, a function of this type.
        unsafe { pam_set_item(handle, 10, fail_delay as *const c_void) };
        Self { handle, person }
    }

    /// What the person saw.
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// Has the person think for so long before each answer.
    pub fn slowly(mut self, slow: Duration) -> Self {
        self.person.slow = slow;
        self
    }

    /// Sets PAM_RHOST (4), PAM_TTY (3) or another item that is a string.
    pub fn set(&mut self, item: i32, text: &str) {
        let text = CString::new(text).unwrap();
        // SAFETY: a C string that lives through the call, which copies it.
        assert_eq!(unsafe { pam_set_item(self.handle, item, text.as_ptr().cast()) }, 0);
    }

    /// PAM_USER as it stands now.
    pub fn user(&self) -> String {
        let mut value = std::ptr::null();
        // SAFETY: item 2 is PAM_USER, a C string that the handle owns.
        unsafe {
            assert_eq!(pam_get_item(self.handle, 2, &raw mut value), 0);
            CStr::from_ptr(value.cast()).to_string_lossy().into_owned()
        }
    }

    /// The environment for the session, as `NAME=value`.
    pub fn environment(&self) -> Vec<String> {
        let mut list = Vec::new();
        // SAFETY: libpam gives an array of C strings that ends with a null pointer, all of them from malloc and ours.
        unsafe {
            let array = pam_getenvlist(self.handle);
            let mut next = array;
            while !(*next).is_null() {
                list.push(CStr::from_ptr(*next).to_string_lossy().into_owned());
                libc::free((*next).cast());
                next = next.add(1);
            }
            libc::free(array.cast());
        }
        list
    }

    /// pam_authenticate(3).
    pub fn authenticate(&mut self, flags: i32) -> i32 {
        // SAFETY: the handle is live until drop; the same holds for the calls below.
        unsafe { pam_authenticate(self.handle, flags) }
    }

    /// pam_setcred(3).
    pub fn setcred(&mut self, flags: i32) -> i32 {
        // SAFETY: as above.
        unsafe { pam_setcred(self.handle, flags) }
    }

    /// pam_acct_mgmt(3).
    pub fn account(&mut self, flags: i32) -> i32 {
        // SAFETY: as above.
        unsafe { pam_acct_mgmt(self.handle, flags) }
    }

    /// pam_open_session(3).
    pub fn open_session(&mut self) -> i32 {
        // SAFETY: as above.
        unsafe { pam_open_session(self.handle, 0) }
    }

    /// pam_close_session(3).
    pub fn close_session(&mut self) -> i32 {
        // SAFETY: as above.
        unsafe { pam_close_session(self.handle, 0) }
    }

    /// pam_chauthtok(3).
    pub fn change_password(&mut self) -> i32 {
        self.change_password_if(0)
    }

    /// pam_chauthtok(3) with flags.
    pub fn change_password_if(&mut self, flags: i32) -> i32 {
        // SAFETY: as above.
        unsafe { pam_chauthtok(self.handle, flags) }
    }

    /// Every group once, in the order of a login: authenticate, setcred, account, open and close session, password.
    pub fn every_group(&mut self) -> [i32; 6] {
        [
            self.authenticate(0),
            self.setcred(codes::ESTABLISH_CRED),
            self.account(0),
            self.open_session(),
            self.close_session(),
            self.change_password(),
        ]
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and used no more.
        unsafe { pam_end(self.handle, 0) };
    }
}

extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    out: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    // SAFETY: libpam passes the person's pointer back, `count` messages, and room for one pointer to an array that
    // malloc made.
    unsafe {
        let person = &mut *data.cast::<Person>();
        let responses = libc::calloc(count as usize, size_of::<Response>()).cast::<Response>();
        for at in 0..count as usize {
            let message = &**messages.add(at);
            let text = CStr::from_ptr(message.text).to_string_lossy().into_owned();
            match message.style {
                1 | 2 => {
                    person.prompts.push(text);
                    let Some(answer) = person.answers.pop_front() else {
                        libc::free(responses.cast());
                        return codes::CONV_ERR;
                    };
                    std::thread::sleep(person.slow);
                    (*responses.add(at)).text = match answer.as_str() {
                        NOTHING => std::ptr::null_mut(),
                        answer => {
                            // As many bytes as were typed, whatever they are, and the end that a C string has.
                            let text = libc::calloc(answer.len() + 1, 1).cast::<c_char>();
                            text.copy_from_nonoverlapping(answer.as_ptr().cast(), answer.len());
                            text
                        }
                    };
                }
                _ => person.read.push(text),
            }
        }
        *out = responses;
    }
    0
}

extern "C" fn fail_delay(_status: c_int, microseconds: c_uint, data: *mut c_void) {
    // libpam calls this after every authentication, with 0 where nobody asked for a delay.
    if microseconds > 0 {
        // SAFETY: libpam passes the conversation's data, which is the person.
        unsafe { (*data.cast::<Person>()).delays.push(microseconds) };
    }
}
