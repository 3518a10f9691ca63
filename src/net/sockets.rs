//! Opening sockets with their options.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// Room that is asked for in the kernel, in octets; some 4,000 routine uplinks as it counts them.
const BUFFER_OCTETS: usize = 8 << 20;

/// After how much silence a peer is asked whether it is there, how often again, and after how much
/// without any answer its connection ends. Two minutes are longer than a mobile network needs to
/// come back, and short enough that few connections wait for peers that are gone.
const ASK_AFTER: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_secs(15);
const GONE_AFTER: Duration = Duration::from_secs(120);

/// A UDP socket.
///
/// Linux sends datagrams with don't-fragment set as long as they fit the path, which is its
/// default; 1,200 octets always do.
// spec: UDP-2
pub(super) fn udp(address: SocketAddr, is_shared: bool) -> io::Result<UdpSocket> {
    let socket = open(address, Type::DGRAM, Protocol::UDP)?;
    socket.set_reuse_port(is_shared)?;
    // Above the limit of the system the kernel grants less.
    socket.set_recv_buffer_size(BUFFER_OCTETS)?;
    socket.set_send_buffer_size(BUFFER_OCTETS)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A TCP socket that listens. So many connections may wait to be accepted, or fewer if the kernel
/// says so. What it accepts inherits that small answers leave at once.
pub(super) fn tcp(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    listening(open_tcp(address)?, address, backlog)
}

/// The same, and what it accepts inherits that a peer which is gone is noticed within minutes. Not
/// for terminals: a question costs their batteries as much as an uplink.
pub(super) fn tcp_that_asks(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = open_tcp(address)?;
    let asking = TcpKeepalive::new()
        .with_time(ASK_AFTER)
        .with_interval(ASK_EVERY);
    socket.set_tcp_keepalive(&asking)?;
    // Nothing is asked while octets wait for their acknowledgement; then this is the limit alone.
    socket.set_tcp_user_timeout(Some(GONE_AFTER))?;
    listening(socket, address, backlog)
}

fn open_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

fn listening(socket: Socket, address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 too.
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use socket2::SockRef;

    use super::*;

    fn accepted(open: fn(SocketAddr, u32) -> io::Result<TcpListener>) -> (TcpStream, TcpStream) {
        let listener = open(SocketAddr::from(([127, 0, 0, 1], 0)), 4).unwrap();
        listener.set_nonblocking(false).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, near)
    }

    #[test]
    fn what_is_accepted_of_gateways_asks_whether_its_peer_is_there_and_of_terminals_never() {
        let (gateway, _near) = accepted(tcp_that_asks);
        let gateway = SockRef::from(&gateway);
        assert!(gateway.keepalive().unwrap() && gateway.tcp_nodelay().unwrap());
        assert_eq!(gateway.tcp_keepalive_time().unwrap(), ASK_AFTER);
        assert_eq!(gateway.tcp_keepalive_interval().unwrap(), ASK_EVERY);
        assert_eq!(gateway.tcp_user_timeout().unwrap(), Some(GONE_AFTER));
        let (terminal, _near) = accepted(tcp);
        let terminal = SockRef::from(&terminal);
        assert!(!terminal.keepalive().unwrap() && terminal.tcp_nodelay().unwrap());
    }
}
