//! A state machine per protocol, driven from outside.
//!
//! A machine does no IO and reads no clock. It is driven by `handle(now, input)` and then `poll`
//! until that says "wait until T". Durability is an input and an output: the machine emits a
//! commit of records under a token, and can write the acknowledgement only after that token came
//! back as committed. After an error it stays in the error.

pub mod mbus;
pub mod otl;
