//! Tests of a connection whose handler answers when it is told to.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, BufReader, DuplexStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::super::admission::{Admission, AdmissionLimits};
use super::super::super::budget::Budget;
use super::super::contract::{Proof, TelegramHandler};
use super::super::counters::MbusCounters;
use super::super::places::{PER_GATEWAY, Place, Places};
use super::*;
use crate::keyring::UtilityId;
use crate::time::SystemClock;

/// Knows every token as the name of a gateway.
#[derive(Default)]
struct Handler {
    unanswered: Mutex<VecDeque<oneshot::Sender<Answer>>>,
    /// What else happens while the first telegram is taken.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Handler {
    async fn answer(&self) {
        loop {
            let next = self.unanswered.lock().pop_front();
            if let Some(answer) = next {
                answer.send(Answer::Durable { is_copy: false }).ok();
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl TelegramHandler for Handler {
    fn gateway(&self, proof: Proof<'_>) -> Option<Gateway> {
        let Proof::Token(name) = proof else {
            return None;
        };
        Some(Gateway {
            name: std::str::from_utf8(name).unwrap().into(),
            utility: UtilityId::new(*b"gasworks"),
            version: 1,
        })
    }

    fn is_current(&self, _: &Gateway) -> bool {
        true
    }

    fn receive(&self, _: &Gateway, _: Heard<'_>, answer: oneshot::Sender<Answer>) {
        self.unanswered.lock().push_back(answer);
        if let Some(meanwhile) = self.meanwhile.lock().take() {
            meanwhile();
        }
    }

    fn unknown_gateway(&self, _: Transport) {}

    fn unread(&self, _: Transport, _: &'static str) {}
}

struct World {
    handler: Arc<Handler>,
    gate: Gate,
    places: Arc<Places>,
}

/// The gateway's side of a connection.
struct Line {
    stream: BufReader<DuplexStream>,
    serving: JoinHandle<()>,
}

impl World {
    fn new(connections_max: usize) -> Self {
        let handler = Arc::new(Handler::default());
        let gate = Gate {
            handler: Arc::<Handler>::clone(&handler),
            clock: Arc::new(SystemClock::new()),
            transport: Transport::Tcp,
            admission: Arc::new(Admission::new(AdmissionLimits::default())),
            budget: Arc::new(Budget::new(1_000)),
            counters: Arc::new(MbusCounters::default()),
            stopping: CancellationToken::new(),
        };
        Self {
            handler,
            gate,
            places: Arc::new(Places::new(connections_max)),
        }
    }

    fn place(&self) -> Taken {
        match self.places.take() {
            Place::Taken { place, .. } => place,
            Place::None | Place::Later => panic!("no place"),
        }
    }

    fn connect(&self) -> Line {
        let place = self.place();
        let limits = LineLimits {
            line_ms: 20_000,
            silence_ms: 60_000,
        };
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let (near, far) = tokio::io::duplex(65_536);
        Line {
            stream: BufReader::new(near),
            serving: tokio::spawn(serve(far, peer, None, place, limits, self.gate.clone())),
        }
    }

    async fn connect_as(&self, gateway: &str) -> Line {
        let mut line = self.connect();
        line.say(&format!("TOKEN {gateway}\n")).await;
        assert_eq!(line.hear().await, "OK 0");
        line
    }
}

impl Line {
    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next line of the server; empty once it has ended.
    async fn hear(&mut self) -> String {
        let mut line = String::new();
        let hearing = self.stream.read_line(&mut line);
        let heard = tokio::time::timeout(Duration::from_secs(20), hearing).await;
        heard.unwrap().unwrap();
        line.trim_end().to_owned()
    }

    async fn wait_for_its_end(self) {
        drop(self.stream);
        self.serving.await.unwrap();
    }
}

#[tokio::test]
async fn the_oldest_of_too_many_of_a_gateway_still_answers_what_it_took() {
    let world = World::new(64);
    let mut first = world.connect_as("roof").await;
    first.say("A0\nA1\n").await;
    world.handler.answer().await;
    assert_eq!(first.hear().await, "OK 1");
    let mut newer = Vec::new();
    for _ in 0..PER_GATEWAY {
        newer.push(world.connect_as("roof").await);
    }
    first.say("A2\n").await;
    world.handler.answer().await;
    assert_eq!(first.hear().await, "OK 2");
    let last = first.hear().await;
    assert!(last.starts_with("ERR 0 too_many_connections "), "{last}");
    assert_eq!(first.hear().await, "");
    first.wait_for_its_end().await;
    assert!(
        world.handler.unanswered.lock().is_empty(),
        "nothing more is taken"
    );
    assert_eq!(world.gate.counters.totals().evicted_same_gateway, 1);
    for line in &mut newer {
        line.say("A3\n").await;
        world.handler.answer().await;
        assert_eq!(line.hear().await, "OK 1");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_while_its_gateway_becomes_known_keeps_its_answers() {
    let world = World::new(2);
    let mut roof = world.connect();
    let places = Arc::clone(&world.places);
    let newcomer = move || drop(places.take());
    *world.handler.meanwhile.lock() = Some(Box::new(newcomer));
    roof.say("TOKEN roof\nA0\n").await;
    assert_eq!(roof.hear().await, "OK 0");
    world.handler.answer().await;
    assert_eq!(roof.hear().await, "OK 1");
    let last = roof.hear().await;
    assert!(last.starts_with("ERR 0 too_many_connections "), "{last}");
    assert_eq!(roof.hear().await, "");
}

#[tokio::test]
async fn whoever_is_cut_unknown_is_gone_at_once() {
    let world = World::new(2);
    let mut stranger = world.connect();
    let _newer = world.connect();
    assert_eq!(stranger.hear().await, "");
    stranger.wait_for_its_end().await;
}
