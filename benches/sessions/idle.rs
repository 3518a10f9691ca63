//! Memory of TCP sessions that are held and idle.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};

use crate::args::Args;
use crate::contender::{Contender, Home};
use crate::frames::{ANSWER, FRAME, Frames};
use crate::metrics::Metrics;
use crate::outcome::Pace;
use crate::report::{Bar, Report};
use crate::turns::{UDP, drive, settle};

const EACH_MAX: f64 = 4_096.0;
/// Connections that are opened, used and closed before, so that what the server needs once is
/// there. Few, since what they free is used again and then missing from the figure.
const BEFORE: usize = 50;
const UDP_RATE_BEFORE: f64 = 1_000.0;
/// Connections that are opened before their answers are read.
const AT_ONCE: usize = 100;
/// Connections from one address of the loopback network.
const PER_ADDRESS: usize = 1_000;
/// The server forgets what it needed for the uplink within this time.
const REST: Duration = Duration::from_secs(5);
/// Descriptors that this process and the server need beside connections.
const SPARE: u64 = 200;

/// Raises the limit of open files, of this process and of those that it starts.
pub(crate) fn raise_open_files() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 0;
    };
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard)
}

/// Opens a connection for each frame and takes the answer.
fn hold(who: &Contender, frames: &[[u8; FRAME]]) -> Vec<TcpStream> {
    let mut held = Vec::with_capacity(frames.len());
    for part in frames.chunks(AT_ONCE) {
        let opened = held.len();
        for frame in part {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
            let last = u8::try_from(1 + held.len() / PER_ADDRESS).unwrap();
            let from: SocketAddr = (Ipv4Addr::new(127, 0, 10, last), 0).into();
            socket.bind(&from.into()).unwrap();
            socket.connect(&who.tcp.into()).unwrap();
            let mut stream = TcpStream::from(socket);
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let mut octets = [0; FRAME + 2];
            octets[1] = FRAME as u8;
            octets[2..].copy_from_slice(frame);
            stream.write_all(&octets).unwrap();
            held.push(stream);
        }
        for stream in &mut held[opened..] {
            stream.read_exact(&mut [0; ANSWER + 2]).unwrap();
        }
    }
    held
}

pub(crate) fn measure(frames: &mut Frames, args: &Args, report: &mut Report) {
    println!("\nidle: TCP sessions that are held");
    let limit = raise_open_files();
    let held_max = usize::try_from(limit.saturating_sub(SPARE)).unwrap_or(usize::MAX);
    let count = args.held.min(held_max);
    let home = Home::register(&args.dir, "idle", args.terminals);
    let server = home.start(&[]);
    let second = Duration::from_secs(1);
    drive(UDP, &server, frames, Pace::Rate(UDP_RATE_BEFORE), second);
    drop(hold(&server, &frames.take(BEFORE.min(count))));
    settle(&server);
    std::thread::sleep(REST);
    let before = server.process.resident();
    let held = hold(&server, &frames.take(count));
    settle(&server);
    std::thread::sleep(REST);
    let after = server.process.resident();
    let open = Metrics::of(home.site.http).sum("kenshin_tcp_connections");
    let each = after.saturating_sub(before) as f64 / held.len() as f64;
    let note = format!(
        "{} held ({} open as /metrics tells), limit of open files {limit}; resident {:.1} MB \
         before, {:.1} MB then",
        held.len(),
        open.unwrap_or(0),
        before as f64 / 1e6,
        after as f64 / 1e6
    );
    let requirement = format!(
        "user memory of an idle held TCP session, at {}: ≤ 4,096 B",
        args.held
    );
    // Fewer than asked for would be another measurement.
    let figures = if count == args.held {
        vec![each]
    } else {
        Vec::new()
    };
    report.row((&requirement, "B"), Bar::AtMost(EACH_MAX), &figures, note);
    report.detail(
        "idle",
        json!({
            "held": held.len(), "open": open, "resident_before": before, "resident": after,
            "octets_each": each, "open_file_limit": limit,
        }),
    );
}
