//! A client that sends commits and a broker that answers them, as bytes, with the proxy between.

use super::*;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, sync_channel},
};

/// Long enough to be told from at once.
const WAIT: Duration = Duration::from_millis(300);
/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A commit of the transaction of this id; the correlation id tells it from others.
fn commit(correlation_id: u8, transactional_id: u8) -> Vec<u8> {
    let header = [0, 26, 0, 1, 0, 0, 0, correlation_id, 255, 255];
    let body = [0, 1, transactional_id, 0, 0, 0, 0, 0, 0, 0, 7, 0, 3, 1];
    [&header[..], &body].concat()
}

fn send(to: &mut TcpStream, frame: &[u8]) {
    let length = i32::try_from(frame.len()).expect("small").to_be_bytes();
    to.write_all(&[&length, frame].concat()).expect("it is sent");
}

/// The next frame; `None` when the other end is closed.
fn receive(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("positive")];
    from.read_exact(&mut frame).ok()?;
    Some(frame)
}

/// Proxy and broker, which says the correlation id of every request that it has.
struct Rig {
    proxy: Proxy,
    seen: Receiver<u8>,
}

impl Rig {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let proxy = Proxy::listen();
        proxy.forward_to(listener.local_addr().expect("it is bound").to_string());
        let (tell, seen) = sync_channel(16);
        std::thread::spawn(move || {
            for mut connection in listener.incoming().map_while(Result::ok) {
                let tell = tell.clone();
                std::thread::spawn(move || {
                    while let Some(frame) = receive(&mut connection) {
                        tell.send(frame[7]).expect("the test goes on");
                        send(&mut connection, &[0, 0, 0, frame[7], 0, 0, 0, 0, 0, 47]);
                    }
                });
            }
        });
        Self { proxy, seen }
    }

    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.proxy.address()).expect("it listens");
        client.set_read_timeout(Some(PATIENCE)).expect("a time");
        client
    }

    fn plan(&self, moment: Moment, fault: Fault) -> oneshot::Receiver<Happened> {
        let step = Step::Commit;
        self.proxy.plan(Rule { step, transactional_id: None, nth: 1, moment, fault })
    }

    /// What the broker has by now.
    fn seen(&self) -> Vec<u8> {
        self.seen.try_iter().collect()
    }
}

fn happened(client_left: bool, end_code: Option<i16>) -> Happened {
    Happened { transactional_id: "a".to_owned(), client_left, end_code }
}

#[test]
fn what_no_rule_is_about_goes_through() {
    let rig = Rig::new();
    let mut client = rig.client();
    for number in 1..=3 {
        send(&mut client, &commit(number, b'a'));
        assert_eq!(receive(&mut client).expect("an answer")[3], number);
    }
    assert_eq!(rig.seen(), [1, 2, 3]);
}

#[test]
fn a_rule_is_about_the_nth_request_of_its_transaction() {
    let rig = Rig::new();
    let rule = |step| Rule {
        step,
        transactional_id: Some("a".to_owned()),
        nth: 2,
        moment: Moment::Request,
        fault: Fault::Cut(Box::new(|_| ())),
    };
    let mut other = rig.proxy.plan(rule(Step::Abort));
    let told = rig.proxy.plan(rule(Step::Commit));
    let mut client = rig.client();
    for (number, transaction) in [(1, b'a'), (2, b'b'), (3, b'b')] {
        send(&mut client, &commit(number, transaction));
        assert_eq!(receive(&mut client).expect("an answer")[3], number);
    }
    send(&mut client, &commit(4, b'a'));
    assert_eq!(receive(&mut client), None, "the connection is cut");
    assert_eq!(told.blocking_recv(), Ok(happened(false, None)));
    assert_eq!(rig.seen(), [1, 2, 3], "the broker has not seen it");
    assert!(other.try_recv().is_err(), "nothing was aborted");
    let mut again = rig.client();
    send(&mut again, &commit(5, b'a'));
    assert!(receive(&mut again).is_some(), "a rule holds once");
}

#[test]
fn a_held_request_comes_late_even_if_its_client_has_left() {
    for leaves in [false, true] {
        let rig = Rig::new();
        let told = rig.plan(Moment::Request, Fault::Hold(WAIT));
        let (mut held, mut other) = (rig.client(), rig.client());
        send(&mut held, &commit(1, b'a'));
        let mut held = (!leaves).then_some(held);
        // It has to reach the proxy first.
        while !rig.proxy.plans.0.lock().expect("nobody panics with it").is_empty() {
            std::thread::yield_now();
        }
        send(&mut other, &commit(2, b'a'));
        assert!(receive(&mut other).is_some(), "others go on");
        assert_eq!(rig.seen(), [2], "it is held");
        assert_eq!(told.blocking_recv(), Ok(happened(leaves, Some(47))));
        assert_eq!(rig.seen(), [1], "it comes");
        if let Some(held) = &mut held {
            assert_eq!(receive(held).expect("an answer")[3], 1);
        }
    }
}

#[test]
fn a_stranded_request_comes_without_its_client() {
    let rig = Rig::new();
    let told = rig.plan(Moment::Request, Fault::Strand(WAIT));
    let mut client = rig.client();
    send(&mut client, &commit(1, b'a'));
    assert_eq!(receive(&mut client), None, "the connection is cut");
    assert!(rig.seen().is_empty(), "it is held");
    assert_eq!(told.blocking_recv(), Ok(happened(true, Some(47))));
    assert_eq!(rig.seen(), [1], "it comes");
}

#[test]
fn a_held_answer_comes_late() {
    let rig = Rig::new();
    let mut told = rig.plan(Moment::Response, Fault::Hold(WAIT));
    let mut client = rig.client();
    send(&mut client, &commit(1, b'a'));
    assert_eq!(rig.seen.recv_timeout(PATIENCE), Ok(1));
    assert!(told.try_recv().is_err(), "it is held");
    assert_eq!(receive(&mut client).expect("an answer")[3], 1);
    assert_eq!(told.blocking_recv(), Ok(happened(false, Some(47))));
}

#[test]
fn a_hook_is_called_where_the_connection_is_cut() {
    for (moment, end_code) in [(Moment::Request, None), (Moment::Response, Some(47))] {
        let rig = Rig::new();
        let (tell, called) = sync_channel(1);
        let hook = move |peer: SocketAddr| tell.send(peer).expect("the test goes on");
        let told = rig.plan(moment, Fault::Cut(Box::new(hook)));
        let mut client = rig.client();
        send(&mut client, &commit(1, b'a'));
        let peer = client.local_addr().expect("it is connected");
        assert_eq!(called.recv_timeout(PATIENCE), Ok(peer));
        assert_eq!(receive(&mut client), None, "the connection is cut");
        assert_eq!(told.blocking_recv(), Ok(happened(false, end_code)));
        let is_sent = moment == Moment::Response;
        assert_eq!(rig.seen(), vec![1; usize::from(is_sent)], "{moment:?}");
    }
}
