//! Hosts: their congestion control, their programs, several worlds at once, and nothing left behind.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, in its helpers too"
)]

mod common;

use std::{path::Path, process::Stdio};

use common::{connect, echo, exchange, on, start};
use pulse_lab::{LabError, World};
use socket2::SockRef;

fn is_there(namespace: &str) -> bool {
    Path::new("/run/netns").join(namespace).exists()
}

#[test]
fn each_host_has_its_own_congestion_control() {
    let builder = World::builder()
        .host("edge", "lan")
        .host("ada", "lan")
        .congestion("edge", "cubic")
        .congestion("ada", "reno");
    let Some(world) = start("each_host_has_its_own_congestion_control", builder) else {
        return;
    };
    let (edge, ada) = (world.host("edge").unwrap(), world.host("ada").unwrap());
    let control = |stream: &std::net::TcpStream| {
        let name = SockRef::from(stream).tcp_congestion().unwrap();
        let name = String::from_utf8(name).unwrap();
        name.trim_end_matches('\0').to_owned()
    };
    // One that connects, and one that is accepted.
    let listener = on(edge, || std::net::TcpListener::bind("0.0.0.0:0").unwrap());
    let address = (edge.address(), listener.local_addr().unwrap().port()).into();
    let stream = connect(ada, address);
    let (accepted, _) = listener.accept().unwrap();
    assert_eq!(control(&stream), "reno");
    assert_eq!(control(&accepted), "cubic");
    ada.set_congestion(Some("cubic")).unwrap();
    assert_eq!(control(&connect(ada, address)), "cubic");
    let said = ada.set_congestion(Some("fastest")).unwrap_err();
    assert!(matches!(said, LabError::Ip { .. }), "{said}");
}

#[test]
fn bbr_works_where_the_kernel_has_it() {
    let known = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    if !known.unwrap_or_default().contains("bbr") {
        return;
    }
    let builder = World::builder()
        .host("edge", "lan")
        .host("ada", "lan")
        .congestion("ada", "bbr");
    let Some(world) = start("bbr_works_where_the_kernel_has_it", builder) else {
        return;
    };
    let (address, done) = echo(world.host("edge").unwrap());
    let mut stream = connect(world.host("ada").unwrap(), address);
    let name = SockRef::from(&stream).tcp_congestion().unwrap();
    assert!(name.starts_with(b"bbr"));
    exchange(&mut stream, &[7; 100_000]);
    drop(stream);
    done.join().unwrap().unwrap().unwrap();
}

#[test]
fn a_program_runs_on_its_host_and_sees_nothing_else() {
    let builder = World::builder().host("edge", "lan").host("ada", "lan");
    let Some(world) = start("a_program_runs_on_its_host_and_sees_nothing_else", builder) else {
        return;
    };
    let ada = world.host("ada").unwrap();
    let mut command = ada.command("ip");
    let output = command
        .args(["-4", "-o", "addr"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&ada.address().to_string()), "{text}");
    assert!(text.contains("127.0.0.1"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn two_worlds_at_once_do_not_meet() {
    let world = |delay| {
        let builder = World::builder().host("edge", delay).host("ada", "lan");
        start("two_worlds_at_once_do_not_meet", builder)
    };
    let (Some(first), Some(second)) = (world("lan"), world("delay=50ms")) else {
        return;
    };
    // The same addresses, and each its own.
    for world in [&first, &second] {
        let (address, done) = echo(world.host("edge").unwrap());
        let mut stream = connect(world.host("ada").unwrap(), address);
        exchange(&mut stream, b"hello");
        drop(stream);
        assert_eq!(done.join().unwrap().unwrap().unwrap(), 5);
    }
    let [one, two] = [&first, &second].map(|world| world.hosts()[0].namespace().to_owned());
    assert_ne!(one, two);
    drop(first);
    assert!(!is_there(&one));
    assert!(is_there(&two));
    drop(second);
    assert!(!is_there(&two));
}

#[test]
fn a_description_that_cannot_be_says_why() {
    let said = |builder: pulse_lab::Builder| builder.start().unwrap_err().to_string();
    let world = || World::builder().host("edge", "lan");
    assert!(said(world().host("edge", "lan")).contains("two hosts"));
    assert!(said(world().host("a/b", "lan")).contains("is no name"));
    assert!(said(world().host("ada", "lann")).contains("no profile"));
    assert!(said(world().congestion("ada", "bbr")).contains("no host \"ada\""));
    assert!(said(world().path("edge", "mars", "lan")).contains("region \"mars\""));
}

#[test]
fn a_world_that_fails_leaves_nothing() {
    if !common::is_permitted("a_world_that_fails_leaves_nothing") {
        return;
    }
    let builder = World::builder()
        .host("left-over", "lan")
        .congestion("left-over", "fastest");
    assert!(builder.start().is_err());
    let names = std::fs::read_dir("/run/netns").unwrap().flatten();
    let own = format!("pulse-lab-{}-", std::process::id());
    let mut names = names.map(|entry| entry.file_name().into_string().unwrap());
    assert!(!names.any(|name| name.starts_with(&own) && name.ends_with("left-over")));
}
