//! Where waiting commands come from, and who stands in where there is no queue and no signer.

use crate::crypto::otl::CommandMac;
use crate::keyring::{
    CommandSigner, KeyError, ResultCheck, ResultRefusal, SignRefusal, SignRequest,
};
use crate::wire::otl::ident::Identity;

use super::super::hand_over::WaitingCommand;

/// The queue of commands as a machine sees it.
pub trait CommandSource {
    /// The command that waits for this terminal, or that was handed over last and whose end is not
    /// known.
    fn waiting(&self, identity: Identity) -> Option<WaitingCommand>;
}

/// A queue in which nothing ever waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCommands;

impl CommandSource for NoCommands {
    fn waiting(&self, _: Identity) -> Option<WaitingCommand> {
        None
    }
}

/// A signer that signs nothing and proves nothing: a server without command keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSigner;

impl CommandSigner for NoSigner {
    fn sign(&self, _: &SignRequest<'_>) -> Result<CommandMac, SignRefusal> {
        Err(SignRefusal::UnknownApproval)
    }

    fn verify_result(&self, _: &ResultCheck<'_>) -> Result<(), ResultRefusal> {
        Err(ResultRefusal::Key(KeyError::UnknownKeyVersion))
    }
}
