//! Operators' commands as programs: on a data folder, and beside a server that runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and reads clocks"
)]

#[path = "support/serve.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod serve;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kenshin::config::OPERATORS_MAX;
use serde_json::Value;
use serve::running::{Running, terminate};
use serve::{Site, utc_s};
use simulator::custody::{Ledger, check_directory};
use simulator::fleet::{self, Counters, FleetPlan, FleetSettings};

const GAS: &str = "6761737765726b65";
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with a configuration and an empty registry.
struct World {
    site: Site,
    _dir: tempfile::TempDir,
}

fn kill(mut server: Running) {
    server.kill().unwrap();
    server.wait().unwrap();
}

fn stop(server: Running) {
    assert_eq!(terminate(server), Some(0));
}

impl World {
    fn new() -> Self {
        Self::with("")
    }

    fn with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::new(dir.path(), &[], more);
        let world = Self { site, _dir: dir };
        let (version, key) = ("version = 1\nstate = \"ACTIVE\"", "5a".repeat(16));
        let keys = format!(
            "[[utility]]\nid = \"{GAS}\"\nname = \"Gas\"\n[[utility.link_master]]\n{version}\n\
             key = \"{key}\"\n"
        );
        world.write("keys.toml", &keys);
        world
    }

    fn socket(&self) -> PathBuf {
        self.site.dir.join("data/admin.sock")
    }

    fn serve(&self) -> Running {
        self.site.start(Stdio::null())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.site.dir.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
        command.args(args).arg("--config");
        command.arg(self.site.dir.join("kenshin.toml"));
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that exits with `code`, and gives its one JSON object.
    fn json(&self, code: i32, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        let told = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?} {told} {wrong}");
        serde_json::from_str(&told).unwrap()
    }

    /// The exit code of a command that knows the data folder and no configuration, and what it
    /// says.
    fn without_config(&self, args: &[&str]) -> (i32, String) {
        let data = self.site.dir.join("data");
        let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
        let output = command.args(args).arg("--data-dir").arg(data).output();
        let output = output.unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        (output.status.code().unwrap(), text)
    }

    fn put_gas(&self) {
        let put = ["utility", "put", GAS, "--name", "Gas Works"];
        assert_eq!(self.json(0, &put)["change"], "added");
    }

    fn counts(&self, args: &[&str]) -> (u64, u64, u64) {
        let done = self.json(0, args);
        let count = |name: &str| done[name].as_u64().unwrap();
        (count("added"), count("changed"), count("unchanged"))
    }

    fn log_end(&self) -> u64 {
        let data = self.site.dir.join("data");
        let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
        command
            .args(["log", "verify", "--json", "--data"])
            .arg(data);
        let outcome: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        outcome["end"].as_u64().unwrap()
    }

    /// Sends octets to the socket and gives what comes back until it closes, or the first line.
    fn talk(&self, octets: &[u8]) -> Value {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        // The server may close before it has read all of it.
        stream.write_all(octets).ok();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

fn table(numbers: impl Iterator<Item = u64>, mode: u8) -> String {
    let line = |number| format!("7:{number},{GAS},{mode},C-{number:05}\n");
    "terminal,utility,mode,customer\n".to_owned() + &numbers.map(line).collect::<String>()
}

#[test]
fn without_a_server_a_table_is_imported_once_and_again_without_a_change() {
    let world = World::new();
    world.put_gas();
    let file = world.write("all.csv", &table(1..=1_500, 1));
    let end = world.log_end();
    assert_eq!(
        world.counts(&["terminal", "import", &file, "--dry-run"]),
        (1_500, 0, 0)
    );
    assert_eq!(world.log_end(), end, "a dry run changes nothing");
    let import = ["terminal", "import", &*file];
    assert_eq!(world.counts(&import), (1_500, 0, 0));
    let end = world.log_end();
    assert_eq!(world.counts(&import), (0, 0, 1_500));
    assert_eq!(world.log_end(), end, "importing again changes nothing");
    let shown = world.json(0, &["terminal", "show", "7:1500"]);
    assert_eq!(shown["terminal"]["customer"], "C-01500");
    let listed = world.json(0, &["utility", "list"]);
    assert_eq!(listed["utilities"][0]["terminals"], 1_500);
    let text = world.run(&["terminal", "list", "--limit", "2"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.contains("--after 0007000000000002"), "{text}");
}

#[test]
fn every_wrong_line_of_a_table_is_named_and_nothing_is_imported() {
    let world = World::new();
    world.put_gas();
    let broken = world.write("broken.csv", "terminal,utility,mode\n7:1,x,1\n\n7:2,y,9\n");
    let outcome = world.json(1, &["terminal", "import", &broken]);
    let lines = |outcome: &Value| -> Vec<u64> {
        let rows = outcome["error"]["rows"].as_array().unwrap();
        rows.iter()
            .map(|row| row["line"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(lines(&outcome), [2, 4, 4]);
    let text = table(1..=12_000, 1) + "7:12001,0000000000000001,1,\n";
    let unknown = world.write("unknown.csv", &text);
    let end = world.log_end();
    for more in [&[][..], &["--dry-run"]] {
        let import = [&["terminal", "import", &*unknown], more].concat();
        assert_eq!(lines(&world.json(1, &import)), [12_002]);
    }
    let people = world.run(&["terminal", "import", &unknown]);
    let told = String::from_utf8(people.stderr).unwrap();
    assert!(
        told.starts_with("line 12002, utility: no utility"),
        "{told}"
    );
    assert_eq!(world.log_end(), end);
    assert_eq!(
        world.json(1, &["terminal", "show", "7:1"])["error"]["kind"],
        "refused"
    );
}

#[test]
fn what_a_server_answered_survives_its_kill() {
    let world = World::new();
    let server = world.serve();
    world.put_gas();
    let file = world.write("all.csv", &table(1..=600, 2));
    assert_eq!(world.counts(&["terminal", "import", &file]), (600, 0, 0));
    let set = ["terminal", "set", "7:600", "--customer", "", "--mode", "1"];
    assert_eq!(world.json(0, &set)["change"], "changed");
    kill(server);
    assert!(world.socket().exists(), "a killed server leaves its socket");
    let shown = world.json(0, &["terminal", "show", "7:600"]);
    assert_eq!(shown["terminal"]["mode"], 1);
    assert_eq!(shown["terminal"]["customer"], Value::Null);
    let server = world.serve();
    assert_eq!(world.counts(&["terminal", "import", &file]), (0, 1, 599));
    stop(server);
    assert!(!world.socket().exists(), "a server that stops removes it");
    let shown = world.json(0, &["terminal", "show", "7:600"]);
    assert_eq!(
        shown["terminal"]["customer"], "C-00600",
        "out of the snapshot"
    );
}

/// Lets a fleet call for two seconds, and gives what it was told.
fn run_fleet(site: &Site, plan: &FleetPlan) -> Ledger {
    let addresses = [site.udp, site.alarm, site.tcp];
    let mut settings = FleetSettings::new(addresses, utc_s(), Duration::from_secs(2));
    settings.settle = Duration::from_secs(60);
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let counters = Arc::new(Counters::default());
    runtime
        .block_on(fleet::run(plan, settings, counters))
        .unwrap()
}

/// What a terminal said is found in the log, and what it adds up to is folded behind.
fn questions_are_answered(world: &World, terminal: &str) {
    let found = world.json(0, &["terminal", "readings", terminal, "--limit", "1000"]);
    let records = found["records"].as_array().unwrap();
    assert!(!records.is_empty(), "{found}");
    assert!(
        records
            .iter()
            .all(|one| one["terminal"] == terminal && one["lane"] == "bulk")
    );
    let position = records[0]["position"].as_u64().unwrap();
    let before = ["terminal", "readings", terminal, "--to", "2001-01-01"];
    assert_eq!(world.json(0, &before)["records"], serde_json::json!([]));
    let alarms = world.json(0, &["terminal", "alarms", terminal]);
    let alarms = alarms["records"].as_array().unwrap();
    assert!(alarms.iter().all(|one| one["kind"] == "alarm_notice"));
    let shown = (0..1_000).map(|_| world.json(0, &["terminal", "show", terminal]));
    let is_folded = |shown: &Value| shown["folded"]["position"].as_u64() > Some(position);
    let shown = { shown }.find(is_folded).unwrap();
    let meters = shown["folded"]["terminal"]["meters"].as_array().unwrap();
    assert!(meters.iter().any(|one| one["register"].is_u64()), "{shown}");
    let open = world.json(0, &["alarms", "--limit", "1"]);
    assert!(open["position"].as_u64() >= Some(position), "{open}");
    let wrong = world.json(1, &["alarms", "--after", "nowhere"]);
    assert_eq!(wrong["error"]["kind"], "refused");
    for args in [
        &["terminal", "show", terminal][..],
        &["terminal", "readings", terminal],
        &["alarms"],
    ] {
        let text = String::from_utf8(world.run(args).stdout).unwrap();
        assert!(text.contains("position"), "{text}");
    }
}

/// Starts a server and registers a fleet through its socket; gives the identity of its utility.
fn serve_fleet(world: &World, plan: &FleetPlan) -> (Running, String) {
    let utility = &plan.utilities().unwrap()[0];
    let hex = |octets: &[u8]| -> String { octets.iter().map(|o| format!("{o:02x}")).collect() };
    let id = hex(&utility.id);
    let keys = format!(
        "[[utility]]\nid = \"{id}\"\nname = \"U\"\n[[utility.link_master]]\nversion = 1\n\
         state = \"ACTIVE\"\nkey = \"{}\"\n",
        hex(utility.link_master.expose())
    );
    world.write("keys.toml", &keys);
    let server = world.serve();
    let put = [
        "utility",
        "put",
        &*id,
        "--name",
        "U",
        "--allow-mode0",
        "true",
    ];
    world.json(0, &put);
    let mut text = "mode,terminal,utility\n".to_owned();
    for terminal in plan.terminals() {
        text += &format!(
            "{},{},{id}\n",
            terminal.mode.code(),
            hex(&terminal.identity)
        );
    }
    let file = world.write("fleet.csv", &text);
    assert_eq!(world.counts(&["terminal", "import", &file]), (8, 0, 0));
    (server, id)
}

#[test]
fn a_terminal_that_was_registered_through_the_socket_is_served_at_once() {
    let world = World::new();
    let plan = FleetPlan {
        seed: 5,
        terminals: 8,
        utilities: 1,
    };
    let (server, id) = serve_fleet(&world, &plan);
    let ledger = run_fleet(&world.site, &plan);
    let listed = world.json(0, &["terminal", "list"]);
    let terminals = listed["terminals"].as_array().unwrap();
    let heard = terminals
        .iter()
        .filter(|one| one["last_contact_utc_s"].is_u64());
    assert!(heard.count() > 0);
    let keyed = terminals
        .iter()
        .find(|one| one["key_version"] == 1)
        .unwrap();
    let shown = world.json(
        0,
        &["terminal", "show", keyed["terminal"].as_str().unwrap()],
    );
    assert!(shown["terminal"]["frame_counter"].as_u64().unwrap() > 0);
    questions_are_answered(&world, keyed["terminal"].as_str().unwrap());
    let listed = world.json(0, &["key", "list"]);
    assert!(listed["keys"][0]["terminals"].as_u64().unwrap() > 0);
    let refused = world.json(1, &["key", "state", &id, "1", "withdrawn"]);
    assert_eq!(refused["error"]["kind"], "unconfirmed");
    let served = world.json(
        0,
        &["terminal", "readings", keyed["terminal"].as_str().unwrap()],
    );
    stop(server);
    let direct = world.json(
        0,
        &["terminal", "readings", keyed["terminal"].as_str().unwrap()],
    );
    assert_eq!(direct["records"], served["records"], "without a server too");
    let custody = check_directory(&ledger, &world.site.records()).unwrap();
    assert!(
        custody.told_safe > 0 && custody.is_clean(),
        "{:?}",
        custody.problems
    );
}

#[test]
fn the_socket_is_its_owners_alone() {
    let world = World::new();
    let server = world.serve();
    let found = fs::metadata(world.socket()).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let taken = world.run(&["serve"]);
    assert_eq!(taken.status.code(), Some(2), "one server a data folder");
    assert_eq!(world.json(0, &["utility", "list"])["did"], "utilities");
    stop(server);
    fs::write(world.socket(), "kept").unwrap();
    let in_the_way = world.run(&["serve"]);
    assert_eq!(in_the_way.status.code(), Some(2));
    assert_eq!(fs::read(world.socket()).unwrap(), b"kept");
}

#[test]
fn whatever_the_socket_is_sent_it_answers_and_goes_on() {
    let world = World::new();
    let server = world.serve();
    assert_eq!(
        world.talk(b"\xFF\xFEnonsense\n")["error"]["kind"],
        "protocol"
    );
    assert_eq!(
        world.talk(b"GET / HTTP/1.1\r\n\r\n")["error"]["kind"],
        "protocol"
    );
    let other = world.talk(b"{\"v\":7,\"ask\":{}}\n");
    assert_eq!(other["error"]["kind"], "version");
    assert!(
        other["error"]["message"]
            .as_str()
            .unwrap()
            .contains("version 7")
    );
    let long = [b"{\"v\":1,\"ask\":\"", vec![b'x'; 5 << 20].as_slice()].concat();
    assert_eq!(world.talk(&long)["error"]["kind"], "too_long");
    // Those who only hold a connection keep nobody out but whoever comes beyond the bound.
    let hold = |_| UnixStream::connect(world.socket()).unwrap();
    let mut idle: Vec<_> = (0..OPERATORS_MAX).map(hold).collect();
    for _ in 0..1_000 {
        if world.talk(b"")["error"]["kind"] == "busy" {
            break;
        }
        // One that ended just now still had a place when these came.
        idle = (0..OPERATORS_MAX).map(hold).collect();
    }
    let busy = world.json(2, &["utility", "list"]);
    assert_eq!(busy["error"]["kind"], "busy");
    idle.pop();
    for _ in 0..1_000 {
        if world.run(&["utility", "list"]).status.code() == Some(0) {
            break;
        }
    }
    assert_eq!(world.json(0, &["utility", "list"])["did"], "utilities");
    drop(idle);
    // A connection that is silent does not hold the server up when it stops.
    let silent = UnixStream::connect(world.socket()).unwrap();
    stop(server);
    let mut rest = Vec::new();
    (&silent).read_to_end(&mut rest).ok();
    assert_eq!(rest, b"");
}

/// While no server runs.
fn what_a_sink_is_only_the_configuration_tells(world: &World) {
    let (code, blind) = world.without_config(&["sink", "remove", "slow", "--yes"]);
    assert!(
        code == 2 && blind.contains("name the server's configuration"),
        "{blind}"
    );
    let (code, blind) = world.without_config(&["sink", "list"]);
    assert!(
        code == 0 && blind.contains("unknown  unknown") && blind.contains("--config"),
        "{blind}"
    );
    assert!(!blind.contains("unused"), "{blind}");
}

#[test]
fn a_sink_skips_only_if_that_is_meant_and_the_log_keeps_the_range() {
    // A consumer that never pulls.
    let tokens = tempfile::tempdir().unwrap();
    let token = tokens.path().join("slow.token");
    fs::write(&token, "0123456789abcdef0123456789abcdef").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let world = World::with(&format!(
        "[[consumer]]\nname = \"slow\"\nutility = \"{GAS}\"\ntoken_file = \"{}\"\n",
        token.display()
    ));
    let server = world.serve();
    world.put_gas();
    let refused = world.json(1, &["sink", "skip", "slow"]);
    assert_eq!(refused["error"]["kind"], "unconfirmed");
    let skipped = world.json(0, &["sink", "skip", "slow", "--yes"]);
    let (from, to) = (&skipped["from"], &skipped["to"]);
    assert!(from.as_u64().unwrap() < to.as_u64().unwrap());
    let remove = world.json(1, &["sink", "remove", "slow", "--yes"]);
    assert!(
        remove["error"]["message"]
            .as_str()
            .unwrap()
            .contains("in use")
    );
    let unknown = world.json(1, &["sink", "skip", "cloud", "--yes"]);
    assert_eq!(unknown["error"]["kind"], "refused");
    stop(server);
    let remove = world.json(1, &["sink", "remove", "slow", "--yes"]);
    assert!(
        remove["error"]["message"]
            .as_str()
            .unwrap()
            .contains("in use")
    );
    let empty = tempfile::tempdir().unwrap();
    let mut elsewhere = Command::new(env!("CARGO_BIN_EXE_kenshin"));
    elsewhere
        .args(["terminal", "list", "--data-dir"])
        .arg(empty.path());
    assert_eq!(elsewhere.output().unwrap().status.code(), Some(2));
    assert_eq!(
        fs::read_dir(empty.path()).unwrap().count(),
        0,
        "nothing is made"
    );
    what_a_sink_is_only_the_configuration_tells(&world);
    let listed = world.json(0, &["sink", "list"]);
    assert_eq!(listed["sinks"][0]["kind"], "ndjson");
    assert_eq!(listed["sinks"][1]["reached"]["bulk"], *to);
    let mut inspect = Command::new(env!("CARGO_BIN_EXE_kenshin"));
    inspect.args(["log", "inspect", "--json", "--data"]);
    let output = inspect.arg(world.site.dir.join("data")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let events = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let skip = events
        .map(|frame| frame["content"].clone())
        .find(|event| event["event"] == "sink_skipped")
        .unwrap();
    assert_eq!(
        (&skip["sink"], &skip["from"], &skip["to"]),
        (&"slow".into(), from, to)
    );
}

#[test]
fn a_data_folder_that_is_not_there_is_not_made_by_looking() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("nowhere");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
    command.args(["utility", "list", "--data-dir"]).arg(&data);
    assert_eq!(command.output().unwrap().status.code(), Some(2));
    assert!(!data.exists());
}

#[test]
fn a_log_that_lost_what_a_sink_holds_is_neither_cut_nor_used_without_a_server() {
    let world = World::new();
    world.put_gas();
    let records = world.site.records();
    fs::create_dir_all(&records).unwrap();
    // By its name, the sink holds a record from far beyond the end of the log.
    fs::write(records.join("bulk-20261101T000000Z-90000000.ndjson"), "").unwrap();
    let refused = world.json(2, &["terminal", "list"]);
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("the log lacks positions"), "{message}");
}

#[test]
fn a_torn_end_that_is_cut_without_a_server_is_told() {
    let world = World::new();
    world.put_gas();
    let log = world.site.dir.join("data/log");
    let files = fs::read_dir(&log).unwrap().map(|one| one.unwrap().path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "klog");
    let last = files.filter(is_segment).max().unwrap();
    let mut octets = fs::read(&last).unwrap();
    octets.extend_from_slice(&[0x5A; 40]);
    fs::write(&last, octets).unwrap();
    let output = world.run(&["utility", "list"]);
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("Cut the end of the log"), "{told}");
    let output = world.run(&["utility", "list"]);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn the_audit_shows_what_was_changed_by_kind_subject_and_page() {
    let world = World::new();
    let server = world.serve();
    world.put_gas();
    let add = ["terminal", "add", "7:5", "--utility", GAS, "--mode", "1"];
    world.json(0, &add);
    world.json(0, &["terminal", "remove", "7:5"]);
    world.json(0, &["utility", "put", GAS, "--name", "Gas & Water"]);
    let entries = |args: &[&str]| {
        let found = world.json(0, &[&["audit"], args].concat());
        found["entries"].as_array().unwrap().clone()
    };
    // It is folded behind, into a file that is made first.
    let is_there = |_: &usize| world.run(&["audit"]).status.code() == Some(0);
    assert!((0..1_000).any(|n| is_there(&n)), "no file");
    let is_folded = |_: &usize| entries(&["--kind", "utility_put"]).len() == 2;
    assert!((0..1_000).any(|n| is_folded(&n)), "not folded");
    let kinds = |entries: &[Value]| -> Vec<String> {
        let kinds = entries.iter().map(|one| one["kind"].as_str().unwrap());
        kinds.map(str::to_owned).collect()
    };
    let of_people = [
        "utility_put",
        "terminal_removed",
        "terminals_put",
        "utility_put",
    ];
    let all = entries(&[]);
    let shown: Vec<String> = kinds(&all)
        .into_iter()
        .filter(|kind| of_people.contains(&kind.as_str()))
        .collect();
    assert_eq!(shown, of_people, "the newest first");
    assert_eq!(all[0]["detail"]["name"], "Gas & Water");
    let removed = entries(&["--about", "0007000000000005"]);
    assert_eq!(kinds(&removed), ["terminal_removed"]);
    let first = world.json(0, &["audit", "--about", GAS, "--limit", "1"]);
    let next = first["next"].as_str().unwrap();
    let second = entries(&["--about", GAS, "--limit", "1", "--before", next]);
    assert_eq!(kinds(&second), ["terminals_put"]);
    assert_eq!(entries(&["--from", "2026-01-01"]).len(), 0, "no frame came");
    let wrong = world.json(1, &["audit", "--before", "nowhere"]);
    assert_eq!(wrong["error"]["kind"], "refused");
    let text = String::from_utf8(world.run(&["audit"]).stdout).unwrap();
    assert!(text.contains("terminal_removed"), "{text}");
    stop(server);
    let direct = world.json(0, &["audit", "--about", GAS]);
    assert_eq!(direct["entries"].as_array().unwrap().len(), 3);
}

#[test]
fn an_operator_calls_a_terminal_through_the_server_and_through_nothing_else() {
    let world = World::new();
    world.put_gas();
    let call = ["terminal", "call", "7:5"];
    let alone = world.json(2, &call);
    assert_eq!(alone["error"]["kind"], "unavailable");
    let server = world.serve();
    let unknown = world.json(1, &call);
    let message = unknown["error"]["message"].as_str().unwrap();
    assert!(message.contains("no terminal"), "{message}");
    let add = ["terminal", "add", "7:5", "--utility", GAS, "--mode", "1"];
    world.json(0, &add);
    let silent = world.json(1, &call);
    let message = silent["error"]["message"].as_str().unwrap();
    assert!(message.contains("has not called yet"), "{message}");
    stop(server);
}

fn mode_of(path: &str) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

impl World {
    fn path(&self, name: &str) -> String {
        self.site.dir.join(name).to_str().unwrap().to_owned()
    }

    /// Registers the gateway of the roof with a token that is made, and gives the token.
    fn put_roof(&self) -> String {
        let token = self.path("roof.token");
        let roof = [
            "gateway",
            "put",
            "roof",
            "--utility",
            GAS,
            "--token-out",
            &token,
        ];
        let addresses = ["--address", "192.0.2.0/24", "--address", "2001:db8::7"];
        let done = self.json(0, &[&roof[..], &addresses[..]].concat());
        assert_eq!(done["change"], "added");
        assert_eq!(done["gateway"]["addresses"][0], "192.0.2.0/24");
        assert_eq!(done["gateway"]["token"], true);
        fs::read_to_string(token).unwrap().trim().to_owned()
    }
}

#[test]
fn a_token_is_made_once_and_the_data_folder_does_not_hold_it() {
    let world = World::new();
    world.put_gas();
    let secret = world.put_roof();
    let token = world.path("roof.token");
    assert_eq!(mode_of(&token), 0o600);
    assert_eq!(secret.len(), 64, "32 random octets");
    let again = world.run(&["gateway", "put", "roof", "--token-out", &token]);
    assert_eq!(again.status.code(), Some(2), "no file is written over");
    assert_eq!(fs::read_to_string(&token).unwrap().trim(), secret);
    let known = ["gateway", "put", "roof", "--token-file", &token];
    assert_eq!(world.json(0, &known)["change"], "unchanged");
    let hill = world.path("hill.token");
    let hill_put = [
        "gateway",
        "put",
        "hill",
        "--utility",
        GAS,
        "--token-out",
        &hill,
    ];
    let refused = world.json(1, &[&hill_put[..], &["--address", "192.0.2.7"]].concat());
    assert_eq!(refused["error"]["kind"], "refused");
    assert!(!fs::exists(&hill).unwrap(), "a token that opens nothing");
    assert_no_token_in(&world.site.dir.join("data"), &secret);
}

#[test]
fn a_gateway_that_a_server_registered_survives_its_kill_and_one_that_it_removed_does_not() {
    let world = World::new();
    world.put_gas();
    let server = world.serve();
    let secret = world.put_roof();
    let digest = "07".repeat(32);
    let hill = ["gateway", "put", "hill", "--utility", GAS];
    let hill = [&hill[..], &["--certificate-sha256", &digest]].concat();
    assert_eq!(world.json(0, &hill)["change"], "added");
    let listed = world.json(0, &["gateway", "list"]);
    assert_eq!(listed["gateways"].as_array().unwrap().len(), 2);
    assert_eq!(listed["gateways"][0]["certificate_sha256"], digest);
    let shown = world.run(&["gateway", "show", "roof"]);
    let told = String::from_utf8(shown.stdout).unwrap();
    assert!(told.contains("192.0.2.0/24 2001:db8::7"), "{told}");
    let removed = world.json(0, &["gateway", "remove", "hill"]);
    assert_eq!(removed["change"], "removed");
    kill(server);
    let listed = world.json(0, &["gateway", "list", "--utility", GAS]);
    assert_eq!(listed["gateways"].as_array().unwrap().len(), 1);
    assert_eq!(listed["gateways"][0]["gateway"], "roof");
    let gone = world.json(1, &["gateway", "show", "hill"]);
    assert_eq!(gone["error"]["kind"], "refused");
    stop(world.serve());
    let shown = world.json(0, &["gateway", "show", "roof"]);
    assert_eq!(shown["gateway"]["token"], true, "out of the snapshot");
    assert_no_token_in(&world.site.dir.join("data"), &secret);
}

/// No file of the data folder holds the token.
fn assert_no_token_in(folder: &std::path::Path, token: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            assert_no_token_in(&entry.path(), token);
        } else if kind.is_file() {
            let octets = fs::read(entry.path()).unwrap();
            let found = octets
                .windows(token.len())
                .any(|part| part == token.as_bytes());
            assert!(!found, "{}", entry.path().display());
        }
    }
}

#[test]
fn the_audit_tells_of_gateways_without_the_digest_of_a_token() {
    let world = World::new();
    world.put_gas();
    let token = world.write("roof.token", &"swordfish".repeat(4));
    let put = [
        "gateway",
        "put",
        "roof",
        "--utility",
        GAS,
        "--token-file",
        &token,
    ];
    let open = world.run(&put);
    assert_eq!(open.status.code(), Some(2), "others can read the file");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(world.json(0, &put)["change"], "added");
    world.json(0, &["gateway", "remove", "roof"]);
    let server = world.serve();
    let audit = ["audit", "--about", "roof"];
    let deadline = std::time::Instant::now() + PATIENCE;
    let entries = loop {
        let output = world.run(&[&audit[..], &["--json"]].concat());
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let entries = told["entries"].as_array().cloned().unwrap_or_default();
        if entries.len() == 2 || std::time::Instant::now() > deadline {
            break entries;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let kinds: Vec<_> = entries.iter().map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, [Some("gateway_removed"), Some("gateway_put")]);
    assert_eq!(entries[1]["detail"]["token"], true);
    assert!(!entries[1].to_string().contains("token_sha256"));
    stop(server);
}
