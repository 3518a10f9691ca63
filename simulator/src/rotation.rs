//! New keys and new modes, in two phases.

use crate::codec::answer::Command;
use crate::codec::record::Proof;
use crate::command::{kind, outcome};
use crate::crypto::unwrap;
use crate::keys::{BaseKey, Mode, Pair, Purpose, wrap_key};
use crate::meter::Meter;
use crate::nvm::{Nvm, Write};
use crate::random::Random;
use crate::store::Stored;
use crate::terminal::{Event, Suite, Terminal, TerminalError};

/// Sessions under what is new before one under what is old.
pub const TRIES: u32 = 3;

/// How the search for a suite that the server answers goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trial {
    failures: u32,
    turn: usize,
}

fn suites(link: &Pair<BaseKey>, mode: &Pair<Mode>) -> (Suite, Vec<Suite>) {
    let newest = Suite {
        key_version: link.latest().version,
        mode: *mode.latest(),
    };
    let old_key = Suite {
        key_version: link.current.version,
        ..newest
    };
    let old_mode = Suite {
        mode: mode.current,
        ..newest
    };
    let old = Suite {
        key_version: link.current.version,
        mode: mode.current,
    };
    let mut others = Vec::new();
    for suite in [old_key, old_mode, old] {
        if suite != newest && !others.contains(&suite) {
            others.push(suite);
        }
    }
    (newest, others)
}

impl Trial {
    /// The suite of the next session: the newest, and each time after three sessions without a
    /// verified answer one under what is old.
    // spec: ROT-2, ROT-4, ROT-10
    #[must_use]
    pub fn suite(&self, link: &Pair<BaseKey>, mode: &Pair<Mode>) -> Suite {
        let (newest, others) = suites(link, mode);
        if self.failures < TRIES || others.is_empty() {
            return newest;
        }
        others
            .get(self.turn % others.len())
            .copied()
            .unwrap_or(newest)
    }

    /// A session under a suite is over; if it was answered under the newest there is one suite.
    // spec: ROT-4
    pub fn session_over(&mut self, link: &Pair<BaseKey>, mode: &Pair<Mode>, used: Suite) {
        let (newest, others) = suites(link, mode);
        if others.is_empty() {
            *self = Self::default();
        } else if used == newest {
            self.failures += 1;
        } else {
            self.failures = 0;
            self.turn = self.turn.wrapping_add(1);
        }
    }
}

impl<N: Nvm, R: Random, M: Meter> Terminal<N, R, M> {
    /// A verified answer under a suite: what is new in it becomes the only one.
    // spec: ROT-3, ROT-10
    pub(crate) fn prove(&mut self, suite: Suite) -> Result<(), TerminalError> {
        if self
            .keys
            .link
            .newer
            .as_ref()
            .is_some_and(|k| k.version == suite.key_version)
        {
            let mut keys = self.keys.clone();
            keys.link.promote();
            self.nvm.write(Write::Keys(keys.clone()))?;
            self.keys = keys;
            self.events.push(Event::LinkKey(suite.key_version));
        }
        if self.mode.newer == Some(suite.mode) {
            let mut mode = self.mode.clone();
            mode.promote();
            self.nvm.write(Write::Mode(mode.clone()))?;
            self.mode = mode;
            self.events.push(Event::ModePinned(suite.mode));
        }
        Ok(())
    }

    /// A command key or key-encryption key was used by a command that verified: the older one goes.
    // spec: ROT-8
    pub(crate) fn key_was_used(
        &mut self,
        purpose: Purpose,
        version: u8,
    ) -> Result<(), TerminalError> {
        if self
            .keys
            .of(purpose)
            .newer
            .as_ref()
            .is_none_or(|k| k.version != version)
        {
            return Ok(());
        }
        if purpose == Purpose::Command {
            self.command_key_proven = true;
            return self.drop_old_command_key();
        }
        self.promote_key(purpose)
    }

    /// The old command key goes when the new one was used and no record under the old one waits.
    // spec: ROT-8
    pub(crate) fn drop_old_command_key(&mut self) -> Result<(), TerminalError> {
        let old = self.keys.command.current.version;
        let waits = |r: &Stored| {
            r.record
                .proof()
                .is_some_and(|p: &Proof| p.key_version == old)
        };
        if self.command_key_proven && !self.store.records().any(waits) {
            self.command_key_proven = false;
            self.promote_key(Purpose::Command)?;
        }
        Ok(())
    }

    fn promote_key(&mut self, purpose: Purpose) -> Result<(), TerminalError> {
        let mut keys = self.keys.clone();
        if keys.of_mut(purpose).promote() {
            self.nvm.write(Write::Keys(keys.clone()))?;
            self.keys = keys;
        }
        Ok(())
    }

    /// Whether another rotation is under way that this command must not mix with.
    // spec: ROT-13
    pub(crate) fn rotation_in_the_way(&self, command: &Command) -> bool {
        let link = command.parameters.first() == Some(&Purpose::Link.code());
        match command.kind {
            kind::KEY_INSTALL => link && self.mode.newer.is_some(),
            kind::MODE_CHANGE => self.keys.link.newer.is_some(),
            _ => false,
        }
    }

    /// Parameters of `key_install` that can be judged before the key is unwrapped.
    // spec: ROT-9
    pub(crate) fn judge_key(&self, parameters: &[u8]) -> Result<(), u8> {
        let [purpose, version, _, wrapped @ ..] = parameters else {
            return Err(outcome::BAD_PARAMETERS);
        };
        let purpose = Purpose::from_code(*purpose).ok_or(outcome::BAD_PARAMETERS)?;
        let fits = match wrapped.len() {
            24 => purpose != Purpose::Link || !self.may_use(Mode::GcmSession),
            40 => true,
            _ => false,
        };
        if !fits || *version <= self.keys.of(purpose).latest().version {
            return Err(outcome::BAD_PARAMETERS);
        }
        Ok(())
    }

    fn may_use(&self, mode: Mode) -> bool {
        self.mode.current == mode || self.mode.newer == Some(mode)
    }

    /// Unwraps a key and keeps it beside the present one; nothing is stored if that fails.
    // spec: ROT-1, ROT-2, ROT-8, ROT-9
    pub(crate) fn install_key(&mut self, parameters: &[u8]) -> Result<u8, TerminalError> {
        let [purpose, version, kek, wrapped @ ..] = parameters else {
            return Ok(outcome::BAD_PARAMETERS);
        };
        let Some(purpose) = Purpose::from_code(*purpose) else {
            return Ok(outcome::BAD_PARAMETERS);
        };
        let Some(base) = self.keys.key_encryption.version(*kek) else {
            return Ok(outcome::KEY_UNWRAP);
        };
        let key = wrap_key(base, &self.config.owner)?;
        let Ok(key) = unwrap(&key, wrapped) else {
            return Ok(outcome::KEY_UNWRAP);
        };
        self.key_was_used(Purpose::KeyEncryption, *kek)?;
        if purpose == Purpose::Command && self.command_key_proven {
            self.command_key_proven = false;
            self.promote_key(Purpose::Command)?;
        }
        let mut keys = self.keys.clone();
        keys.of_mut(purpose).newer = Some(BaseKey {
            version: *version,
            key,
        });
        self.nvm.write(Write::Keys(keys.clone()))?;
        self.keys = keys;
        if purpose == Purpose::Link {
            self.use_newest_suite();
        }
        Ok(outcome::DONE)
    }

    /// Whether a mode may follow: never mode 0, and mode 3 only with keys of 32 octets.
    // spec: ROT-12, KEY-5
    pub(crate) fn judge_mode(&self, parameters: &[u8]) -> Result<Mode, u8> {
        let [code] = parameters else {
            return Err(outcome::BAD_PARAMETERS);
        };
        let mode = Mode::from_code(*code).ok_or(outcome::BAD_PARAMETERS)?;
        let link = &self.keys.link;
        let held = [Some(&link.current), link.newer.as_ref()];
        let short = held.into_iter().flatten().any(|k| k.key.octets() != 32);
        if mode == Mode::Clear || (mode == Mode::GcmSession && short) {
            return Err(outcome::BAD_PARAMETERS);
        }
        Ok(mode)
    }

    /// Pins another mode beside the present one.
    // spec: ROT-10
    pub(crate) fn change_mode(&mut self, mode: Mode) -> Result<u8, TerminalError> {
        let newer = if mode == self.mode.current {
            None
        } else {
            Some(mode)
        };
        let pair = Pair {
            current: self.mode.current,
            newer,
        };
        self.nvm.write(Write::Mode(pair.clone()))?;
        self.mode = pair;
        self.use_newest_suite();
        Ok(outcome::DONE)
    }

    // spec: ROT-2, ROT-10
    fn use_newest_suite(&mut self) {
        self.trial = Trial::default();
        let suite = self.trial.suite(&self.keys.link, &self.mode);
        if let Some(session) = self.session.as_mut() {
            session.suite = suite;
        }
    }
}
