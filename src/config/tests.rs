//! Tests of the configuration.

use super::*;
use crate::keyring::UtilityId;
use crate::model::Lsn;

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, [])
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::parse(text, variables)
}

/// The mistakes of a text, a line each.
fn mistakes(text: &str) -> Vec<String> {
    let errors = parse(text).unwrap_err();
    errors.0.iter().map(ToString::to_string).collect()
}

fn is_default(line: &str) -> bool {
    line.strip_prefix('#')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

#[test]
fn the_template_parses_to_the_defaults() {
    assert_eq!(parse(TEMPLATE).unwrap(), parse("").unwrap());
}

#[test]
fn the_template_shows_the_defaults_as_they_are() {
    let lines = TEMPLATE.lines().map(|line| match is_default(line) {
        true => line.trim_start_matches('#'),
        false => line,
    });
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    assert!(text.lines().filter(|line| line.contains(" = ")).count() > 20);
    assert_eq!(parse(&text).unwrap(), parse("").unwrap());
}

#[test]
fn the_examples_of_the_template_parse_too() {
    let is_example = |line: &&str| line.starts_with("# [[") || line.contains(" = ");
    let lines = TEMPLATE.lines().filter(|line| {
        let is_prose = line.ends_with('.') || line.contains(": ") || line.contains("KENSHIN_");
        !is_prose && (is_example(line) || line.starts_with('['))
    });
    let text: String = lines
        .flat_map(|line| [line.trim_start_matches(['#', ' ']), "\n"])
        .collect();
    let config = parse(&text).unwrap();
    assert_eq!(config.sinks.len(), 1);
    assert_eq!(config.sinks[0].rotate_mib, Sink::ROTATE_MIB);
    assert_eq!(config.sinks[0].rotate_s, Sink::ROTATE_S);
    assert_eq!(config.consumers.len(), 1);
    assert_eq!(config.disk.quota_mib, Some(51_200));
    assert_eq!(config.listen.udp_workers, Some(2));
    assert_eq!(config.secret_files().len(), 5);
}

#[test]
fn defaults_listen_on_loopback_only() {
    let config = parse("").unwrap();
    let listen = &config.listen;
    let addresses = [listen.udp, listen.udp_alarm, listen.tcp, config.api.listen];
    for address in addresses {
        assert!(address.unwrap().ip().is_loopback());
    }
    assert_eq!(config.warnings().len(), 2, "no link ring, no sink");
}

#[test]
fn addresses_that_others_reach_and_laboratory_settings_are_warned_of() {
    let text = "[listen]\nudp = \"0.0.0.0:7511\"\n[api]\nlisten = \"[::]:80\"\n\
                [keys]\nallow_clear_keys = true\nallow_mode0 = true\n";
    let warnings = parse(text).unwrap().warnings();
    for key in [
        "listen.udp:",
        "api.listen:",
        "keys.allow_clear_keys:",
        "keys.allow_mode0:",
    ] {
        assert!(
            warnings.iter().any(|line| line.starts_with(key)),
            "{key} {warnings:?}"
        );
    }
}

#[test]
fn every_mistake_is_told_with_line_key_and_remedy() {
    let text = r#"
data_dir = 7
colour = "red"
[listen]
udp = "localhost"
udp_workers = 17
[tcp]
idle_timeout_s = 60
[disk]
come_back_percent = 96
[[sink]]
name = "A b"
type = "kafka"
utility = "a1"
from = "soon"
[[sink]]
name = "x"
type = "ndjson"
dir = "d"
[[sink]]
name = "x"
type = "ndjson"
dir = "d"
"#;
    let expected = [
        "line 2: data_dir: a text is wanted here; put the value in quotation marks",
        "line 3: colour: there is no such setting; known here: ",
        "line 5: listen.udp: it is no address with a port; give an address with its port, ",
        "line 6: listen.udp_workers: it is out of range; give a whole number from 1 to 16",
        "line 8: tcp.idle_timeout_s: it is out of range; give a whole number from 3600 to 86400",
        "line 9: disk.alarms_only_percent: readings would be refused before they are told ",
        "line 11: sink[0].dir: it is missing; add dir = ",
        "line 12: sink[0].name: it is no name; use 1 to 32 of a-z, 0-9 and -",
        "line 13: sink[0].type: it is not known; give one of: ndjson",
        "line 14: sink[0].utility: it is no utility; give its 16 hexadecimal digits",
        "line 15: sink[0].from: it is no place of the log; give \"now\", \"start\" or ",
        "line 21: sink[2].name: a sink or consumer has this name; give another name",
        "line 23: sink[2].dir: another sink writes there; give each sink its own folder",
    ];
    let found = mistakes(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn syntax_errors_are_told_with_their_lines() {
    let found = mistakes("[listen]\nudp = \n[tcp\n");
    assert!(!found.is_empty());
    assert!(
        found[0].starts_with("line 2: file: the syntax is wrong; "),
        "{found:?}"
    );
}

#[test]
fn variables_win_over_the_file() {
    let variables = [
        ("KENSHIN_LISTEN__UDP", "127.0.0.1:9"),
        ("KENSHIN_LISTEN__TCP", "off"),
        ("KENSHIN_STORE__SQLITE", "false"),
        ("KENSHIN_DATA_DIR", "/srv/k"),
        ("KENSHIN_MASTER_KEY", "no setting"),
        ("PATH", "/bin"),
    ];
    let config = parse_with("data_dir = \"a\"\n[listen]\nudp = \"off\"\n", &variables).unwrap();
    assert_eq!(config.listen.udp, "127.0.0.1:9".parse().ok());
    assert_eq!(config.listen.tcp, None);
    assert!(!config.store.sqlite);
    assert_eq!(config.admin_socket(), Path::new("/srv/k/admin.sock"));
}

#[test]
fn wrong_and_unknown_variables_are_mistakes() {
    let variables = [
        ("KENSHIN_TCP__MAX_CONNECTIONS", "many"),
        ("KENSHIN_LISTEN__UPD", "off"),
    ];
    let found = parse_with("", &variables).unwrap_err().to_string();
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("variable KENSHIN_LISTEN__UPD: listen.upd: there is no such"));
    assert!(lines[1].starts_with(
        "variable KENSHIN_TCP__MAX_CONNECTIONS: tcp.max_connections: it is no whole number"
    ));
}

#[test]
fn a_variable_hides_a_mistake_of_the_file() {
    let text = "[tcp]\nmax_connections = 0\n";
    assert!(parse(text).is_err());
    let variables = [("KENSHIN_TCP__MAX_CONNECTIONS", "5")];
    assert_eq!(parse_with(text, &variables).unwrap().tcp.max_connections, 5);
}

#[test]
fn a_follower_begins_now_at_the_start_or_at_a_position() {
    for (text, from) in [
        ("\"now\"", FollowFrom::Now),
        ("\"start\"", FollowFrom::Start),
        ("4096", FollowFrom::Position(Lsn::new(4_096))),
    ] {
        let text = format!(
            "[[consumer]]\nname = \"c\"\nutility = \"A1b2c3d4e5f60718\"\n\
             token_file = \"t\"\nfrom = {text}\n"
        );
        let config = parse(&text).unwrap();
        assert_eq!(config.consumers[0].from, from);
        let utility = UtilityId::new([0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6, 0x07, 0x18]);
        assert_eq!(config.consumers[0].utility, utility);
    }
    let negative = "[[consumer]]\nname = \"c\"\nutility = \"a1b2c3d4e5f60718\"\n\
                    token_file = \"t\"\nfrom = -1\n";
    assert!(parse(negative).is_err());
}

#[test]
fn lists_have_an_end() {
    let sink = |n| format!("[[sink]]\nname = \"s{n}\"\ntype = \"ndjson\"\ndir = \"d{n}\"\n");
    let sinks = |count: usize| (0..count).map(sink).collect::<String>();
    assert!(parse(&sinks(Config::SINKS_MAX)).is_ok());
    let found = mistakes(&sinks(Config::SINKS_MAX + 2));
    assert_eq!(
        found,
        ["line 65: sink[16]: there are too many; keep at most 16"]
    );
}

#[test]
fn sections_and_lists_of_a_wrong_shape_are_told() {
    let found = mistakes("listen = 1\nsink = [1]\nconsumer = {}\n");
    assert_eq!(
        found,
        [
            "line 1: listen: it is no section; write [listen] on a line",
            "line 2: sink: it is no list; write [[sink]] on a line",
            "line 3: consumer: it is no list; write [[consumer]] on a line",
        ]
    );
}

#[test]
fn a_long_socket_path_is_refused_before_it_is_bound() {
    let found = mistakes(&format!("data_dir = \"{}\"\n", "d".repeat(100)));
    assert!(found[0].contains("admin.socket"), "{found:?}");
}

#[test]
fn workers_are_the_cores_within_their_range() {
    let listen = Listen::default();
    let on = |cores| listen.udp_workers_on(cores);
    assert_eq!((on(0), on(2), on(usize::MAX)), (1, 2, 16));
}

#[test]
fn the_memory_of_all_bounds_fits_a_small_machine() {
    let config = parse(TEMPLATE).unwrap();
    let bounds = config.memory_bounds(2);
    let sum = |what: fn(&str) -> bool| -> u64 {
        let some = bounds.iter().filter(|bound| what(bound.key));
        some.map(|bound| bound.octets).sum()
    };
    let by_peers = sum(|key| !["store.sqlite", "admin.socket"].contains(&key));
    assert!(by_peers < 300 * 1_024 * 1_024, "{by_peers}");
    let all = sum(|_| true);
    assert!(all < 460 * 1_024 * 1_024, "{all}");
    // They are counted, and not those that are off.
    assert!(all > by_peers + 128 * 1_024 * 1_024);
    let off = parse("[store]\nsqlite = false\n").unwrap();
    let off = off.memory_bounds(2);
    let sqlite = off.iter().find(|bound| bound.key == "store.sqlite");
    assert_eq!(sqlite.map(|bound| bound.octets), Some(0));
}

#[test]
fn texts_of_mistakes_do_not_repeat_values() {
    let found = mistakes("[keys]\nlink_file = 99887766\nallow_mode0 = \"99887766\"\n");
    assert!(found.iter().all(|line| !line.contains("9988")), "{found:?}");
}

#[test]
fn gateways_are_listened_for_only_where_an_address_is_set() {
    let config = parse("").unwrap();
    assert!(!config.mbus.is_on());
    assert_eq!(config.mbus.connections(), 0);
    let config = parse("[mbus]\nudp = \"127.0.0.1:7515\"\n").unwrap();
    assert!(config.mbus.is_on() && config.mbus.connections() == 0);
    let config = parse("[mbus]\ntcp = \"0.0.0.0:7515\"\nmax_connections = 7\n").unwrap();
    assert_eq!(config.mbus.connections(), 7);
    let warnings = config.warnings();
    let is_about_tokens = |line: &String| line.starts_with("mbus.tcp:") && line.contains("tokens");
    assert!(warnings.iter().any(is_about_tokens), "{warnings:?}");
}

#[test]
fn tls_of_gateways_needs_its_files_and_an_address_of_its_own() {
    let text = "[mbus]\ntcp = \"127.0.0.1:7515\"\ntls = \"127.0.0.1:7515\"\n\
                tls_key_file = \"k\"\nmeters_max = 0\n";
    let expected = [
        "line 3: mbus.tls: it is the address of mbus.tcp too; give another port",
        "line 3: mbus.tls_cert_file: mbus.tls needs it, and it is missing; set tls_cert_file, or ",
        "line 3: mbus.tls_client_ca_file: mbus.tls needs it, and it is missing; set ",
        "line 5: mbus.meters_max: it is out of range; give a whole number from 1 to 16777216",
    ];
    let found = mistakes(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}");
    }
    let files = "tls_cert_file = \"c\"\ntls_key_file = \"k\"\ntls_client_ca_file = \"a\"\n";
    let config = parse(&format!("[mbus]\ntls = \"127.0.0.1:7516\"\n{files}")).unwrap();
    let secrets = config.secret_files();
    assert_eq!(secrets, [("mbus.tls_key_file".to_owned(), Path::new("k"))]);
}

#[test]
fn two_listeners_of_one_transport_have_two_addresses() {
    let text = "[listen]\nudp = \"127.0.0.1:9\"\nudp_alarm = \"127.0.0.1:9\"\n\
                tcp = \"127.0.0.1:9\"\n[mbus]\nudp = \"127.0.0.1:9\"\n\
                tcp = \"127.0.0.1:9\"\ntls = \"off\"\n[api]\nlisten = \"127.0.0.1:9\"\n";
    let expected = [
        "line 3: listen.udp_alarm: it is the address of listen.udp too; give another port",
        "line 6: mbus.udp: it is the address of listen.udp too; give another port",
        "line 7: mbus.tcp: it is the address of listen.tcp too; give another port",
        "line 10: api.listen: it is the address of listen.tcp too; give another port",
    ];
    assert_eq!(mistakes(text), expected);
    // Those of the defaults count, and of port 0 the system gives each listener another.
    let found = mistakes("[mbus]\ntcp = \"127.0.0.1:7580\"\n");
    let wanted = "configuration: api.listen: it is the address of mbus.tcp too; give another port";
    assert_eq!(found, [wanted]);
    assert!(parse(&text.replace(":9", ":0")).is_ok());
}
