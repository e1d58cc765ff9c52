use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use crate::failure::Failure;
use crate::one_cpu::OneCpu;
use crate::report::Report;
use crate::sampling::{sample, time_batch};

const STREAM_BYTES: usize = 256 << 10;

/// To a listener of our own on the loopback interface and back: a byte, and a stream that is answered
/// with a byte.
pub(crate) fn measure(report: &mut Report) -> Result<(), Failure> {
    let _one_cpu = OneCpu::hold()?;
    round_trip("tcp-round-trip", 1, report)?;
    round_trip("tcp-256k", STREAM_BYTES, report)
}

fn round_trip(name: &'static str, bytes: usize, report: &mut Report) -> Result<(), Failure> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Failure::of("listen on loopback"))?;
    let address = listener
        .local_addr()
        .map_err(Failure::of("listen on loopback"))?;
    let values = thread::scope(|scope| {
        let stream = TcpStream::connect(address).map_err(Failure::of("connect to loopback"))?;
        let other = thread::Builder::new().spawn_scoped(scope, move || answer(&listener, bytes));
        other.map_err(Failure::of("start a thread"))?;
        // Dropped at the end of this, which ends the thread.
        let mut stream = stream;
        stream
            .set_nodelay(true)
            .map_err(Failure::of("send without delay"))?;
        let message = vec![1; bytes];
        let mut reply = [0];
        sample(|| {
            time_batch(1, || {
                let answered = stream
                    .write_all(&message)
                    .and_then(|()| stream.read_exact(&mut reply));
                answered.map_err(Failure::of("talk over loopback"))
            })
        })
    })?;
    report.add(name, 1, values);
    Ok(())
}

/// Answers each message with a byte, until there are no more.
fn answer(listener: &TcpListener, bytes: usize) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut message = vec![0; bytes];
    loop {
        stream.read_exact(&mut message)?;
        stream.write_all(&[1])?;
    }
}
