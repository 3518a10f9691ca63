//! The bare peers: they read the same lengths and answer the same lengths, and do nothing else.

use std::io::{BufRead as _, BufReader, IoSlice, Write as _};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};

use crate::contender::Contender;
use crate::frames::{ANSWER, FRAME};
use crate::process::Process;
use crate::serve::running::Running;
use crate::{args, udp_load};

/// Datagrams of one system call.
const BATCH: usize = 64;

/// Starts the peers in a process of their own, as the server has one.
pub(crate) fn start() -> Contender {
    let program = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new(program);
    command
        .arg(args::SERVE_PEER)
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let mut addresses = line.split_whitespace().map(|word| word.parse().unwrap());
    Contender {
        name: "bare peer",
        udp: addresses.next().unwrap(),
        tcp: addresses.next().unwrap(),
        process: Process(Running(child)),
    }
}

/// Serves until the process is ended.
pub(crate) fn serve() {
    let sockets = udp_sockets();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(4_096).unwrap()
    });
    let udp = sockets[0].local_addr().unwrap();
    println!("{udp} {}", listener.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    for socket in sockets {
        std::thread::spawn(move || echo(&socket));
    }
    runtime.block_on(accept(listener));
}

/// One socket a core on one port.
fn udp_sockets() -> Vec<UdpSocket> {
    let mut address = "127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    let mut sockets = Vec::new();
    for _ in 0..cores {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.set_reuse_port(true).unwrap();
        udp_load::widen(&socket);
        socket.bind(&address.into()).unwrap();
        let socket = UdpSocket::from(socket);
        address = socket.local_addr().unwrap();
        sockets.push(socket);
    }
    sockets
}

fn echo(socket: &UdpSocket) {
    let fd = socket.as_raw_fd();
    let mut room = vec![[0_u8; 1_536]; BATCH];
    let mut incoming = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut outgoing = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    loop {
        let wait = MsgFlags::MSG_WAITFORONE;
        let Ok(from) = udp_load::receive_into(fd, &mut incoming, &mut room, wait) else {
            continue;
        };
        for frame in &mut room[..from.len()] {
            // The counter goes where an answer has it.
            frame.copy_within(11..15, 2);
        }
        let slices: Vec<_> = room[..from.len()]
            .iter()
            .map(|frame| [IoSlice::new(&frame[..ANSWER])])
            .collect();
        sendmmsg(
            fd,
            &mut outgoing,
            slices.iter(),
            from,
            [],
            MsgFlags::empty(),
        )
        .ok();
    }
}

async fn accept(listener: TcpListener) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(async move {
            let mut frame = [0; FRAME + 2];
            let mut answer = [0; ANSWER + 2];
            answer[1] = ANSWER as u8;
            while stream.read_exact(&mut frame).await.is_ok() {
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
    }
}
