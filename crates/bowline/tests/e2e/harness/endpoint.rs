//! An endpoint that a test makes up: probes find a ready API server, everybody else finds what the test says.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// The first byte of a TLS handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Lives as long as the test's process; its threads hold nothing that the test waits for.
pub(crate) struct Endpoint;

impl Endpoint {
    /// Accepts on `listener`. Connections that begin with a TLS handshake go to `api`, all others to `serve`, each on a thread of
    /// its own and with nothing read yet.
    pub(crate) fn start(
        listener: TcpListener,
        api: SocketAddr,
        serve: impl Fn(TcpStream) + Send + Sync + 'static,
    ) {
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = Arc::clone(&serve);
                thread::spawn(move || {
                    let mut first = [0];
                    match stream.peek(&mut first) {
                        Ok(1) if first == [TLS_HANDSHAKE] => relay(stream, api),
                        Ok(_) => serve(stream),
                        // It was reset before its first byte.
                        Err(_) => {}
                    }
                });
            }
        });
    }

    /// Echoes until the client has finished, then finishes too.
    pub(crate) fn echo(mut stream: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    }
}

fn relay(mut client: TcpStream, api: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(api) else { return };
    let (Ok(mut from_server), Ok(mut to_client)) = (server.try_clone(), client.try_clone()) else { return };
    let back = thread::spawn(move || {
        // It ends when either side does, which the other direction sees by the shutdown.
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut client, &mut server);
    let _ = server.shutdown(Shutdown::Both);
    let _ = back.join();
}
