//! The real binary, with its own keys, registry and formats.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kenshin::wire::hex::Hex;
use serde_json::Value;

use super::running::{Running, terminate};
use super::world::Line;

const GAS: &str = "6761737765726b65";

/// OMS Volume 2 Annex N, N.2.1: a gas meter in mode 5, with the CRCs of format A and without them.
const FORMAT_A: &str = "2E44931578563412330333637A2A0020255923C95AAA26D1B2E7493BC2AD013EC4A6F6D3\
    529B520EDFF0EA6DEFC955B29D6D69EBF3EC8A";
const PLAIN: &str = "2E4493157856341233037A2A0020255923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0\
    EA6DEFC99D6D69EBF3";
const KEY: &str = "0102030405060708090a0b0c0d0e0f11";

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The exit code of a command and what it says.
fn told_by(config: &Path, arguments: &[&str]) -> (i32, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_kenshin"))
        .args(arguments)
        .arg("--config")
        .arg(config)
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
    (done.status.code().unwrap(), text.concat())
}

fn kenshin(config: &Path, arguments: &[&str]) {
    let (code, text) = told_by(config, arguments);
    assert_eq!(code, 0, "{text}");
}

/// Where the server's lines go.
fn told_in(config: &Path) -> PathBuf {
    config.with_file_name("server.log")
}

fn serve(config: &Path, address: SocketAddr) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
    let command = command.arg("serve").arg("--config").arg(config);
    let path = told_in(config);
    let told = fs::OpenOptions::new().create(true).append(true).open(path);
    let mut running = Running(command.stderr(told.unwrap()).spawn().unwrap());
    for _ in 0..1_000 {
        assert_eq!(
            running.try_wait().unwrap(),
            None,
            "the server ended at its start"
        );
        if TcpStream::connect(address).is_ok() {
            return running;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the server does not listen within 20 s");
}

/// Writes the meter's key and a configuration, with `more` settings of gateways. Gives where it is,
/// and where gateways connect and metrics are.
fn configure(dir: &Path, more: &str) -> (PathBuf, SocketAddr, SocketAddr) {
    let (tcp, http, udp) = {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let [tcp, http] = [tcp, http].map(|one| one.local_addr().unwrap());
        (tcp, http, udp.local_addr().unwrap())
    };
    let at = |name: &str| dir.join(name);
    let meters = format!("meter,utility,key\nELS-12345678-33-03,{GAS},{KEY}\n");
    private(&at("meters.csv"), &meters);
    let config = at("kenshin.toml");
    let text = format!(
        "data_dir = \"{data}\"\n[listen]\nudp = \"off\"\nudp_alarm = \"off\"\ntcp = \"off\"\n\
         [api]\nlisten = \"{http}\"\n[disk]\ncome_back_percent = 98\nalarms_only_percent = 99\n\
         [mbus]\n{more}tcp = \"{tcp}\"\nudp = \"{udp}\"\n[keys]\nmbus_file = \"{meters}\"\n\
         allow_clear_keys = true\n[[sink]]\nname = \"files\"\ntype = \"ndjson\"\n\
         dir = \"{sink}\"\nfrom = \"start\"\n",
        data = at("data").display(),
        meters = at("meters.csv").display(),
        sink = at("sink").display(),
    );
    fs::write(&config, text).unwrap();
    (config, tcp, http)
}

/// Registers a gateway, and gives the line that it begins with.
fn greeting_of_roof(config: &Path) -> String {
    kenshin(config, &["utility", "put", GAS, "--name", "Gas"]);
    let token = config.with_file_name("roof.token").display().to_string();
    let put = [
        "gateway",
        "put",
        "roof",
        "--utility",
        GAS,
        "--token-out",
        &token,
    ];
    kenshin(config, &put);
    format!("TOKEN {}\n", fs::read_to_string(token).unwrap().trim())
}

/// What the server tells of itself.
fn metrics(http: SocketAddr) -> String {
    // Levels are looked at some times a second.
    std::thread::sleep(Duration::from_millis(1_500));
    let mut stream = TcpStream::connect(http).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// All records of the sink.
fn delivered(sink: &Path) -> Vec<Value> {
    let mut records: Vec<Value> = Vec::new();
    for file in fs::read_dir(sink).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let text = fs::read_to_string(path).unwrap();
            records.extend(
                text.lines()
                    .map(|line| serde_json::from_str::<Value>(line).unwrap()),
            );
        }
    }
    records
}

fn assert_each_verdict_was_counted_once(http: SocketAddr) {
    let metrics = metrics(http);
    let told = [
        "durable",
        "duplicate",
        "block_crc",
        "no_key",
        "wrong_key",
        "clear_not_allowed",
        "clear_without_key",
    ];
    for verdict in told {
        let series =
            format!("kenshin_mbus_telegrams_total{{carriage=\"tcp\",verdict=\"{verdict}\"}} 1");
        assert!(
            metrics.lines().any(|line| line == series),
            "{series} {metrics}"
        );
    }
    assert!(metrics.lines().any(|line| line == "kenshin_mbus_meters 1"));
}

/// Its first refusal for each reason is told, and none of a meter which is not registered.
fn assert_the_registered_meter_is_told_of_once_for_each_reason(config: &Path) {
    let told = fs::read_to_string(told_in(config)).unwrap();
    let told = |what: &str| told.lines().filter(|line| line.contains(what)).count();
    assert_eq!(told("ELS-12345678-33-03"), 2);
    assert_eq!(told("wrong_key"), 1);
    assert_eq!(told("clear_not_allowed"), 1);
    assert_eq!(told("ELS-12345679-33-03"), 0);
}

fn assert_the_reading_was_delivered(sink: &Path) {
    let records = delivered(sink);
    let ids: std::collections::BTreeSet<_> = records
        .iter()
        .map(|record| record["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1, "{records:?}");
    let record = &records[0];
    assert_eq!(record["gateway"], "roof");
    assert_eq!(record["custody"], "acknowledged");
    assert_eq!(record["verified"], "check_bytes");
    assert_eq!(record["security_mode"], 5);
    assert_eq!(record["measured_local"], "2008-05-31T23:50");
    let values = record["value"]["records"].as_array().unwrap();
    assert!(
        values
            .iter()
            .any(|one| one["value"] == "28504.27" && one["unit"] == "m3")
    );
}

#[test]
fn the_published_telegram_of_a_gas_meter_reaches_the_sink_once_with_its_value() {
    let dir = tempfile::tempdir().unwrap();
    let (config, tcp, http) = configure(dir.path(), "");
    let at = |name: &str| dir.path().join(name);
    let greeting = greeting_of_roof(&config);
    let mut server = serve(&config, tcp);
    let mut roof = Line::new(tcp);
    roof.say(&format!("{greeting}{FORMAT_A}\n{PLAIN}\n"));
    assert_eq!([roof.hear(), roof.hear()], ["OK 0", "OK 1"]);
    assert_eq!(roof.hear(), "OK 2 duplicate");
    let other_meter = FORMAT_A.replacen("78563412330333", "78563412330433", 1);
    roof.say(&format!("{other_meter}\n{}\n", &PLAIN[..60]));
    for number in [3, 4] {
        let heard = roof.hear();
        assert!(heard.starts_with(&format!("ERR {number} ")), "{heard}");
    }
    // Of another meter; another first block of the cipher text; in clear.
    let unknown = PLAIN.replacen("78563412", "79563412", 1);
    let altered = PLAIN.replacen("5923C95A", "5923C95B", 1);
    let clear = "1644931578563412330378041327000000041327000000";
    let stranger = clear.replacen("78563412", "79563412", 1);
    roof.say(&format!("{unknown}\n{altered}\n{clear}\n{stranger}\n"));
    let reasons = [
        "no_key",
        "wrong_key",
        "clear_not_allowed",
        "clear_without_key",
    ];
    for (number, reason) in (5..).zip(reasons) {
        let heard = roof.hear();
        assert!(
            heard.starts_with(&format!("ERR {number} {reason} ")),
            "{heard}"
        );
    }
    assert_each_verdict_was_counted_once(http);
    assert_the_registered_meter_is_told_of_once_for_each_reason(&config);
    // A kill, and the same once more.
    server.kill().unwrap();
    server.wait().unwrap();
    let server = serve(&config, tcp);
    let mut roof = Line::new(tcp);
    roof.say(&format!("{greeting}{PLAIN}\n"));
    assert_eq!([roof.hear(), roof.hear()], ["OK 0", "OK 1 duplicate"]);
    drop(roof);
    assert_eq!(terminate(server), Some(0));
    assert_the_reading_was_delivered(&at("sink"));
}

/// A line of a meter without a key.
fn clear_line(volume: u32, time: u64) -> String {
    let volume = Hex(&volume.to_le_bytes()).to_string();
    let telegram = format!("16449315795634123303780413{volume}0413{volume}");
    format!("{{\"telegram\":\"{telegram}\",\"time\":{time}}}\n")
}

#[test]
fn a_server_that_is_stopped_amid_searches_ends_soon_and_answers_every_line() {
    let dir = tempfile::tempdir().unwrap();
    let (config, tcp, _) = configure(dir.path(), "allow_clear_meters = true\n");
    let greeting = greeting_of_roof(&config);
    let server = serve(&config, tcp);
    let mut roof = Line::new(tcp);
    roof.say(&greeting);
    assert_eq!(roof.hear(), "OK 0");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    for part in 0..40_u32 {
        let numbers = part * 100..part * 100 + 100;
        let lines = numbers.map(|number| clear_line(number, now - 20 * u64::from(4_000 - number)));
        roof.say(&lines.collect::<String>());
        assert!((0..100).all(|_| roof.hear().starts_with("OK ")));
    }
    // Each is looked for among all of these.
    let backlog = (0..120).map(|number| clear_line(10_000 + number, now - 90_000));
    roof.say(&backlog.collect::<String>());
    let first = roof.hear();
    assert_eq!(first, "OK 4001");
    assert_eq!(terminate(server), Some(0));
    let heard: Vec<_> = (1..120).map(|_| roof.hear()).collect();
    let busy = heard.iter().filter(|one| one.starts_with("BUSY ")).count();
    let taken = heard.iter().filter(|one| one.starts_with("OK ")).count();
    assert_eq!(busy + taken, heard.len(), "{heard:?}");
    assert!(
        busy > 0,
        "the searches were over before the server was told to end"
    );
}

#[test]
fn what_is_set_up_in_part_is_told_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (config, tcp, http) = configure(dir.path(), "");
    let told = |what: &str| {
        let told = fs::read_to_string(told_in(&config)).unwrap();
        told.lines().filter(|line| line.contains(what)).count()
    };
    let of_utility = format!("utility={GAS} meters=1");
    assert_eq!(terminate(serve(&config, tcp)), Some(0));
    assert_eq!(told(&of_utility), 1);
    kenshin(&config, &["utility", "put", GAS, "--name", "Gas"]);
    let put = ["gateway", "put", "roof", "--utility", GAS];
    kenshin(&config, &[&put[..], &["--address", "192.0.2.1"]].concat());
    assert_eq!(terminate(serve(&config, tcp)), Some(0));
    assert_eq!((told(&of_utility), told("gateways=1")), (1, 0));
    let text = fs::read_to_string(&config).unwrap();
    let is_kept =
        |line: &&str| !line.starts_with("tcp = \"127") && !line.starts_with("udp = \"127");
    let lines: Vec<&str> = text.lines().filter(is_kept).collect();
    fs::write(&config, lines.join("\n")).unwrap();
    assert_eq!(terminate(serve(&config, http)), Some(0));
    assert_eq!((told(&of_utility), told("gateways=1")), (1, 1));
}

fn template_says(line: &str) -> bool {
    let out = Command::new(env!("CARGO_BIN_EXE_kenshin"))
        .args(["config", "template"])
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let section = text.split("[mbus]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    section.lines().any(|one| one == line)
}

#[test]
fn nothing_listens_for_gateways_unless_an_address_is_set() {
    for line in ["#udp = \"off\"", "#tcp = \"off\"", "#tls = \"off\""] {
        assert!(template_says(line), "{line}");
    }
}

#[test]
fn telegrams_that_differ_in_the_number_of_their_link_alone_are_two_and_a_copy_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let (config, tcp, _) = configure(dir.path(), "allow_clear_meters = true\n");
    kenshin(&config, &["utility", "put", GAS, "--name", "Gas"]);
    let token = dir.path().join("roof.token").display().to_string();
    let put = ["gateway", "put", "roof", "--utility", GAS];
    kenshin(&config, &[&put[..], &["--token-out", &token]].concat());
    let token = fs::read_to_string(token).unwrap();
    let _server = serve(&config, tcp);
    let mut roof = Line::new(tcp);
    // Access numbers 2Ah and 2Bh of an extended link layer, one reading; then a repeater's hop.
    let of = |control: &str, number: &str| {
        format!("1344AE4C4455223368078C{control}{number}780C1327048502\n")
    };
    let lines = [
        of("00", "2A"),
        of("00", "2B"),
        of("00", "2A"),
        of("10", "2B"),
    ]
    .concat();
    roof.say(&format!("TOKEN {}\n{lines}", token.trim()));
    let heard: Vec<_> = (0..5).map(|_| roof.hear()).collect();
    assert_eq!(
        heard,
        ["OK 0", "OK 1", "OK 2", "OK 3 duplicate", "OK 4 duplicate"]
    );
    let (code, text) = told_by(&config, &["terminal", "readings", "SEN-33225544-68-07"]);
    assert_eq!(
        (code, text.matches("unauthenticated").count()),
        (0, 2),
        "{text}"
    );
    // No more is known of a meter than its telegrams, and that is said.
    let (code, text) = told_by(&config, &["terminal", "show", "ae4c445522336807"]);
    assert!(
        code == 1 && text.contains("M-Bus meter SEN-33225544-68-07"),
        "{text}"
    );
    let (code, text) = told_by(&config, &["terminal", "show", "SEN-33225544-68-07"]);
    assert!(code == 2 && text.contains("M-Bus meter"), "{text}");
}
