//! `kenshin decode`: shows what is in frames.
//!
//! One frame in hexadecimal a line comes in, one JSON object a line goes out, or with `--pretty` a
//! table of the octets. A line that cannot be decoded never keeps the next one from being decoded.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::key;
use super::output::fail;
use crate::keyring::LinkKeyring;

pub mod decoder;
pub mod key_file;
pub mod lines;
pub mod mbus;
pub mod pretty;

use decoder::Decoder;
use lines::{Line, Lines, Text};

/// What `--help` says beyond the arguments.
pub const LONG_ABOUT: &str = "\
Show what is in frames: one frame in hexadecimal a line on standard input, one JSON object a line on
standard output.

Blank lines and lines that begin with # are skipped. Digits may be of either case, with spaces
between them, with : or - between octets, and with 0x before the first. Each line is read by itself:
a bad one does not stop the next. An answer follows its uplink, since only with it can it be opened.

The JSON form is described in protocol-spec/decode-json.md, the key file in
protocol-spec/vectors/README.md; protocol-spec/vectors/keys.toml is one.

With --protocol mbus a line is a telegram, in digits or as gateways hand it on (JSON, rtl_wmbus,
wmbusmeters), and behind white space its key of 32 digits if it has one, which wins over those of
--keys. Fragments are put together, and compact frames are read by formats that earlier lines
taught.";

/// What `--help` says after the arguments.
const AFTER_HELP: &str = "\
Exit status:
  0  every line was decoded, which does not mean that it verified: see \"verified\"
  1  a line was refused
  2  the arguments or the key file are wrong, or a stream failed

Example:
  kenshin decode --pretty --keys keys.toml < frames.hex
  echo 1E44AE4C9956341268077A360010002F2F0413181E0000023B00002F2F2F2F |
    kenshin decode --protocol mbus";

/// The arguments of `kenshin decode`.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct DecodeArgs {
    /// The protocol of the frames.
    #[arg(long, value_enum, default_value_t = Protocol::Otl)]
    pub protocol: Protocol,

    /// The key file: of OTL a table in TOML, of M-Bus one in CSV, or either sealed. Without it only
    /// what is in clear is shown whole, and M-Bus telegrams whose key stands in their line. That
    /// key wins.
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,

    /// The master key, if `--keys` is a sealed ring, of links or of M-Bus meters; without it
    /// KENSHIN_MASTER_KEY is looked for.
    #[arg(long, value_name = "FILE", requires = "keys")]
    pub master_key_file: Option<PathBuf>,

    /// Show each frame octet by octet, damaged ones included, for reading by people.
    #[arg(long)]
    pub pretty: bool,
}

/// The protocols that `kenshin decode` knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Protocol {
    /// The Open Telemeter Link.
    Otl,
    /// M-Bus, wired and wireless (EN 13757).
    Mbus,
}

/// How a run ended that was not stopped by an error of the streams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Every line was decoded.
    AllDecoded,
    /// At least one line was refused.
    SomeRefused,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Standard input cannot be read.
    #[error("cannot read standard input: {0}")]
    Read(#[source] io::Error),
    /// Standard output cannot be written.
    #[error("cannot write standard output: {0}")]
    Write(#[source] io::Error),
}

/// Decodes standard input to standard output.
///
/// The exit code is 0 if every line was decoded, 1 if some line was refused, and 2 if the key file
/// or the streams cannot be used.
#[must_use]
pub fn run(args: &DecodeArgs) -> ExitCode {
    let master = args.master_key_file.as_deref();
    let (input, mut output) = (io::stdin().lock(), io::stdout().lock());
    // Standard output is flushed at each end of a line, so that a reader sees a frame at once.
    let decoded = match args.protocol {
        Protocol::Otl => {
            let load = |path| key::load_link_keys(path, master);
            match args.keys.as_deref().map(load).transpose() {
                Ok(keys) => decode_lines(input, &mut output, keys, args.pretty),
                Err(error) => return fail(&error),
            }
        }
        Protocol::Mbus => {
            let load = |path| key::meters::load(path, master);
            match args.keys.as_deref().map(load).transpose() {
                Ok(keys) => {
                    let keys = keys.unwrap_or_default();
                    mbus::decode_lines(input, &mut output, &keys, args.pretty)
                }
                Err(error) => return fail(&error),
            }
        }
    };
    match decoded {
        Ok(Outcome::AllDecoded) => ExitCode::SUCCESS,
        Ok(Outcome::SomeRefused) => ExitCode::from(1),
        // Whoever read the output has seen enough.
        Err(StreamError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// Decodes all lines of `input` to `output`.
///
/// # Errors
///
/// [`StreamError`] if either stream fails; what was written so far is whole lines.
pub fn decode_lines(
    input: impl BufRead,
    output: &mut impl Write,
    keys: Option<LinkKeyring>,
    is_pretty: bool,
) -> Result<Outcome, StreamError> {
    let mut decoder = Decoder::new(keys);
    each_line(input, output, |number, line, text| {
        Some(match Line::from(line) {
            Line::Blank => return None,
            Line::Bad(error) if is_pretty => {
                pretty::bad_line(text, number, &error);
                false
            }
            Line::Bad(error) => {
                text.push_str(&error.json().to_string());
                false
            }
            Line::Frame(frame) => {
                let decoded = decoder.decode(&frame);
                if is_pretty {
                    !pretty::frame(text, number, &frame, &decoded)
                } else {
                    text.push_str(&decoded.json.to_string());
                    decoded.failure.is_none()
                }
            }
        })
    })
}

/// Has what becomes of each line written. `write` says whether the line is good; none where it
/// gives nothing.
fn each_line(
    input: impl BufRead,
    output: &mut impl Write,
    mut write: impl FnMut(u64, Text<'_>, &mut String) -> Option<bool>,
) -> Result<Outcome, StreamError> {
    let mut lines = Lines::new(input);
    let mut outcome = Outcome::AllDecoded;
    let mut text = String::new();
    while let Some((number, line)) = lines.next_text().map_err(StreamError::Read)? {
        text.clear();
        let Some(ok) = write(number, line, &mut text) else {
            continue;
        };
        text.push('\n');
        output
            .write_all(text.as_bytes())
            .map_err(StreamError::Write)?;
        if !ok {
            outcome = Outcome::SomeRefused;
        }
    }
    output.flush().map_err(StreamError::Write)?;
    Ok(outcome)
}
