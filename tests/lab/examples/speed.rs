//! How fast and how punctual the lab is on this machine: `cargo run --release -p pulse-lab --example
//! speed`. Figures for the README, no bar.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use pulse_lab::World;

const TRANSFER: Duration = Duration::from_secs(5);
const ROUND_TRIPS: usize = 2_000;

#[expect(clippy::disallowed_methods, reason = "measures")]
fn now() -> Instant {
    Instant::now()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let world = World::builder()
        .host("edge", "delay=0ms")
        .host("ada", "delay=0ms")
        .congestion("edge", "cubic")
        .congestion("ada", "cubic")
        .start()?;
    let mut output = io::stdout().lock();
    let megabits = transfer(&world)?;
    writeln!(
        output,
        "one TCP connection, no shaping: {megabits:.0} Mbit/s"
    )?;
    let drops = world.stats()?.devices;
    writeln!(output, "dropped by the devices: {drops:?}")?;
    for spec in ["delay=0ms", "delay=5ms", "delay=50ms"] {
        world.set("ada", None, spec)?;
        let mut times = round_trips(
            &world,
            if spec == "delay=50ms" {
                200
            } else {
                ROUND_TRIPS
            },
        )?;
        times.sort();
        let at = |share: f64| {
            let place = (share * (times.len() - 1) as f64) as usize;
            times.get(place).copied().unwrap_or_default().as_secs_f64() * 1_000.0
        };
        let (least, half, most) = (at(0.0), at(0.5), at(0.99));
        writeln!(
            output,
            "UDP round trip, {spec} each way: least {least:.3}, median {half:.3}, 99 % {most:.3} ms"
        )?;
    }
    Ok(())
}

fn transfer(world: &World) -> Result<f64, Box<dyn std::error::Error>> {
    let edge = world.host("edge")?;
    let address = (edge.address(), 9_000);
    let listener = edge.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 9_000)))?;
    let listener = listener
        .join()
        .map_err(|_| "the listener's thread died")???;
    let sender = world.host("ada")?.run(move || -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        let block = vec![0; 256 * 1024];
        let begin = now();
        while begin.elapsed() < TRANSFER {
            stream.write_all(&block)?;
        }
        Ok(())
    })?;
    let (mut stream, _) = listener.accept()?;
    let begin = now();
    let mut buffer = vec![0; 256 * 1024];
    let mut bytes = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            read => bytes += read,
        }
    }
    let took = begin.elapsed().as_secs_f64();
    sender.join().map_err(|_| "the sender's thread died")???;
    Ok(bytes as f64 * 8.0 / took / 1e6)
}

fn round_trips(world: &World, count: usize) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let edge = world.host("edge")?;
    let address = edge.address();
    let echo = edge.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    let echo = echo.join().map_err(|_| "the echo's thread died")???;
    let port = echo.local_addr()?.port();
    let answering = std::thread::spawn(move || -> io::Result<()> {
        let mut buffer = [0; 1_500];
        for _ in 0..count {
            let (length, from) = echo.recv_from(&mut buffer)?;
            echo.send_to(buffer.get(..length).unwrap_or_default(), from)?;
        }
        Ok(())
    });
    let asking = world
        .host("ada")?
        .run(move || -> io::Result<Vec<Duration>> {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.connect((address, port))?;
            let mut times = Vec::new();
            for _ in 0..count {
                let begin = now();
                socket.send(&[0; 160])?;
                socket.recv(&mut [0; 1_500])?;
                times.push(begin.elapsed());
            }
            Ok(times)
        })?;
    let times = asking.join().map_err(|_| "the asking thread died")???;
    answering.join().map_err(|_| "the echo's thread died")??;
    Ok(times)
}
