//! Opening sockets with their options.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Room that is asked for in the kernel, in octets; some 4,000 routine uplinks as it counts them.
const BUFFER_OCTETS: usize = 8 << 20;

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
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
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
