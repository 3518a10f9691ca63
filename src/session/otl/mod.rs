//! What the server of OTL v1 must remember and decide about one terminal, without IO.
//!
//! # The way of a frame
//!
//! ```text
//! octets --open--> Opened --Link::receive--> Step::Commit(commit) --(durable)--> Link::committed
//!    |                           |                                                     |
//! Refusal                        +--> Step::Answer(plan) <-----------------------------+
//!                                              |
//!                                   seal::seal_answer --> octets
//! ```
//!
//! - [`open`] verifies: before it succeeds, nothing is stored, changed or answered.
//! - [`link::Link`] judges the counter and the records, and says what must be durable. An answer
//!   that tells anything safe is made from a [`step::Commit`] that came back, and from nothing
//!   else. [`records`] sorts new records from repeats and contradictions, and
//!   [`window::ReplayWindow`] knows the counters.
//! - [`hand_over`] decides whether a waiting command may go with the answer.
//! - [`seal`] draws the server nonce, asks the signer, and seals; [`answer_gate`] keeps it to one
//!   sealed answer a second.
//! - [`ns_mark`] notices that the server itself was rolled back; [`failures`] counts failed
//!   openings; [`refusal`] names everything that can be refused.
//!
//! [`machine`] drives all of this for one live terminal, with its paths and deadlines.

pub mod answer_gate;
pub mod failures;
pub mod hand_over;
pub mod link;
pub mod machine;
pub mod ns_mark;
pub mod open;
pub mod records;
pub mod refusal;
pub mod seal;
pub mod step;
pub mod window;
