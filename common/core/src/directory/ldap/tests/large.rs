//! Result sets of the size that made a layer of our own necessary: messages and frames never line up, several messages lie
//! in one frame, and entries are cut in two by its end.

use super::*;

#[tokio::test]
async fn a_hundred_thousand_entries_come_whole() {
    const MANY: u32 = 100_000;
    let directory = directory(|_| {
        let people = (0..MANY).map(|rid| person(&format!("CN=u{rid:05},DC=x"), rid));
        Answer::Entries(people.collect(), 0, b"")
    })
    .await;
    let (sender, mut batches) = tokio::sync::mpsc::channel::<Vec<UserEntry>>(4);
    let counted = async {
        // In the order in which they were sent: each is what comes next, or one is missing.
        let mut next = 0;
        while let Some(batch) = batches.recv().await {
            for user in batch {
                assert_eq!((user.sam, user.sid), (format!("u{next:05}"), Some(sid(next))));
                next += 1;
            }
        }
        next
    };
    let (asked, counted) = tokio::join!(directory.list_users(None, sender), counted);
    asked.unwrap();
    assert_eq!(counted, MANY);
}
