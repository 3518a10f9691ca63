//! Builds the tree out of a text and overrides.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::DeTable;

use super::Config;
use super::error::{ConfigErrors, Place};
use super::reader::{Reader, Scope, Wrong};
use super::sections::{
    Admin, Admission, Api, Consumer, Disk, Keys, Listen, Log, Mbus, Sessions, Shutdown, Sink,
    Store, Tcp,
};
use super::values;

/// The longest path of a socket, in octets: `sun_path` less its end.
const SOCKET_PATH_MAX: usize = 107;

pub(super) fn build(
    text: &str,
    overrides: impl Iterator<Item = (String, String, OsString)>,
) -> Result<Config, ConfigErrors> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(text, overrides);
    for error in &syntax {
        let place = reader.line(error.span().map_or(0, |span| span.start));
        let remedy = format!("correct the TOML: {}", error.message());
        reader.push(
            place,
            "file".to_owned(),
            Wrong::new("the syntax is wrong", remedy),
        );
    }
    // What a damaged text seems to say is not worth mistakes of its own.
    if !syntax.is_empty() {
        return Err(ConfigErrors(reader.into_syntax_problems()));
    }
    let mut file = Reader::file(document.get_ref());
    let config = sections(&mut reader, &mut file);
    reader.finish(&file);
    let problems = reader.into_problems();
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigErrors(problems))
    }
}

fn sections(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>) -> Config {
    let data_dir = reader.get(file, "data_dir", values::path);
    let mut names = Names::default();
    let mut taken = Taken::default();
    let config = Config {
        data_dir: data_dir.unwrap_or_else(|| PathBuf::from("kenshin-data")),
        listen: listen(reader, file, &mut taken),
        tcp: tcp(reader, file),
        admission: admission(reader, file),
        mbus: mbus(reader, file, &mut taken),
        sessions: sessions(reader, file),
        store: store(reader, file),
        disk: disk(reader, file),
        keys: keys(reader, file),
        sinks: sinks(reader, file, &mut names),
        api: api(reader, file, &mut taken),
        consumers: consumers(reader, file, &mut names),
        log: log(reader, file),
        admin: admin(reader, file),
        shutdown: shutdown(reader, file),
    };
    if config.admin_socket().as_os_str().len() > SOCKET_PATH_MAX {
        let remedy = format!("set admin.socket to a path of at most {SOCKET_PATH_MAX} octets");
        let wrong = Wrong::new("the path is too long for a socket", remedy);
        reader.push(Place::Whole, "admin.socket".to_owned(), wrong);
    }
    config
}

/// The transports of listeners.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Transport {
    Datagrams,
    Connections,
}

/// The addresses that are listened on, by transport, with the setting of each.
#[derive(Default)]
struct Taken(Vec<(Transport, SocketAddr, String)>);

impl Taken {
    /// Takes an address, if a listener has one. Of port 0 the system gives each another.
    fn take(
        &mut self,
        reader: &mut Reader<'_>,
        (scope, name): (&Scope<'_, '_>, &str),
        transport: Transport,
        address: Option<SocketAddr>,
    ) {
        let Some(address) = address.filter(|address| address.port() != 0) else {
            return;
        };
        let key = scope.key(name);
        let is_it = |of: &&(Transport, SocketAddr, String)| (of.0, of.1) == (transport, address);
        if let Some((_, _, other)) = self.0.iter().find(is_it) {
            let wrong = format!("it is the address of {other} too");
            let wrong = Wrong::new(&wrong, "give another port");
            reader.push(reader.place_of(scope, name), key, wrong);
        } else {
            self.0.push((transport, address, key));
        }
    }
}

fn listen(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>, taken: &mut Taken) -> Listen {
    let mut scope = reader.section(file, "listen");
    let s = &mut scope;
    let default = Listen::default();
    let workers = 1..=Listen::UDP_WORKERS_MAX;
    let listen = Listen {
        udp: reader.get(s, "udp", values::address).unwrap_or(default.udp),
        udp_alarm: reader
            .get(s, "udp_alarm", values::address)
            .unwrap_or(default.udp_alarm),
        tcp: reader.get(s, "tcp", values::address).unwrap_or(default.tcp),
        udp_workers: reader.get(s, "udp_workers", values::whole(workers)),
    };
    taken.take(reader, (s, "udp"), Transport::Datagrams, listen.udp);
    taken.take(
        reader,
        (s, "udp_alarm"),
        Transport::Datagrams,
        listen.udp_alarm,
    );
    taken.take(reader, (s, "tcp"), Transport::Connections, listen.tcp);
    reader.finish(s);
    listen
}

fn tcp(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>) -> Tcp {
    let mut scope = reader.section(file, "tcp");
    let s = &mut scope;
    let default = Tcp::default();
    let mut whole = |name, range, or| reader.get(s, name, values::whole(range)).unwrap_or(or);
    let tcp = Tcp {
        max_connections: whole("max_connections", 1..=1_000_000, default.max_connections),
        max_unverified: whole("max_unverified", 1..=1_000_000, default.max_unverified),
        // spec: TCP-4
        first_frame_timeout_s: whole(
            "first_frame_timeout_s",
            1..=20,
            default.first_frame_timeout_s,
        ),
        // spec: TCP-5
        idle_timeout_s: whole("idle_timeout_s", 3_600..=86_400, default.idle_timeout_s),
        accept_backlog: whole("accept_backlog", 1..=65_535, default.accept_backlog),
    };
    reader.finish(s);
    tcp
}

fn mbus(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>, taken: &mut Taken) -> Mbus {
    let mut scope = reader.section(file, "mbus");
    let s = &mut scope;
    let default = Mbus::default();
    let mut whole = |name, range, or| reader.get(s, name, values::whole(range)).unwrap_or(or);
    let max_connections = whole("max_connections", 1..=65_535, default.max_connections);
    let line_timeout_s = whole("line_timeout_s", 1..=60, default.line_timeout_s);
    let idle_timeout_s = whole("idle_timeout_s", 60..=86_400, default.idle_timeout_s);
    let meters_max = whole("meters_max", 1..=16_777_216, default.meters_max);
    let mbus = Mbus {
        udp: reader.get(s, "udp", values::address).unwrap_or(default.udp),
        tcp: reader.get(s, "tcp", values::address).unwrap_or(default.tcp),
        tls: reader.get(s, "tls", values::address).unwrap_or(default.tls),
        tls_cert_file: reader.get(s, "tls_cert_file", values::path),
        tls_key_file: reader.get(s, "tls_key_file", values::path),
        tls_client_ca_file: reader.get(s, "tls_client_ca_file", values::path),
        max_connections,
        line_timeout_s,
        idle_timeout_s,
        allow_clear_meters: reader
            .get(s, "allow_clear_meters", values::flag)
            .unwrap_or(default.allow_clear_meters),
        meters_max,
    };
    check_tls(reader, s, &mbus);
    taken.take(reader, (s, "udp"), Transport::Datagrams, mbus.udp);
    taken.take(reader, (s, "tcp"), Transport::Connections, mbus.tcp);
    taken.take(reader, (s, "tls"), Transport::Connections, mbus.tls);
    reader.finish(s);
    mbus
}

/// TLS needs all of its files.
fn check_tls(reader: &mut Reader<'_>, scope: &Scope<'_, '_>, mbus: &Mbus) {
    if mbus.tls.is_none() {
        return;
    }
    for (name, file) in [
        ("tls_cert_file", &mbus.tls_cert_file),
        ("tls_key_file", &mbus.tls_key_file),
        ("tls_client_ca_file", &mbus.tls_client_ca_file),
    ] {
        if file.is_none() {
            let remedy = format!("set {name}, or mbus.tls to \"off\"");
            let wrong = Wrong::new("mbus.tls needs it, and it is missing", remedy);
            reader.push(reader.place_of(scope, "tls"), scope.key(name), wrong);
        }
    }
}

fn admission(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>) -> Admission {
    let mut scope = reader.section(file, "admission");
    let s = &mut scope;
    let default = Admission::default();
    let mut whole = |name, range, or| reader.get(s, name, values::whole(range)).unwrap_or(or);
    let per_s = default.failed_per_address_per_s;
    let per_port = default.failed_per_port_per_s;
    let admission = Admission {
        failed_per_address_per_s: whole("failed_per_address_per_s", 1..=100_000, per_s),
        burst: whole("burst", 1..=1_000_000, default.burst),
        failed_per_port_per_s: whole("failed_per_port_per_s", 100..=10_000_000, per_port),
        addresses_max: whole("addresses_max", 1_024..=16_777_216, default.addresses_max),
    };
    reader.finish(s);
    admission
}

fn sessions(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>) -> Sessions {
    let mut scope = reader.section(file, "sessions");
    let range = values::whole(1_024..=16_777_216);
    let live_max = reader.get(&mut scope, "live_max", range);
    reader.finish(&scope);
    live_max.map_or_else(Sessions::default, |live_max| Sessions { live_max })
}

fn store(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>) -> Store {
    let mut scope = reader.section(file, "store");
    let s = &mut scope;
    let default = Store::default();
    let mut whole = |name, range, or| reader.get(s, name, values::whole(range)).unwrap_or(or);
    let mut store = Store {
        segment_mib: whole("segment_mib", 1..=1_024, default.segment_mib),
        queue_frames: whole("queue_frames", 64..=16_777_216, default.queue_frames),
        queue_mib: whole("queue_mib", 1..=4_096, default.queue_mib),
        snapshot_every_mib: whole("snapshot_every_mib", 1..=65_536, default.snapshot_every_mib),
        snapshots_kept: whole("snapshots_kept", 1..=16, default.snapshots_kept),
        ..default
    };
    store.sqlite = reader
        .get(s, "sqlite", values::flag)
        .unwrap_or(store.sqlite);
    store.retention_days = reader.get(s, "retention_days", values::whole(1..=36_500));
    store.retention_gib = reader.get(s, "retention_gib", values::whole(1..=1_048_576));
    reader.finish(s);
    store
}

fn disk(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>) -> Disk {
    let mut scope = reader.section(file, "disk");
    let s = &mut scope;
    let default = Disk::default();
    let mut percent = |name, or| reader.get(s, name, values::whole(1..=99)).unwrap_or(or);
    let come_back_percent = percent("come_back_percent", default.come_back_percent);
    let alarms_only_percent = percent("alarms_only_percent", default.alarms_only_percent);
    let quota_mib = reader.get(s, "quota_mib", values::whole(64..=1_073_741_824));
    let reserve_mib = reader.get(s, "reserve_mib", values::whole(8..=65_536));
    let reserve_mib = reserve_mib.unwrap_or(default.reserve_mib);
    if come_back_percent >= alarms_only_percent {
        let wrong = Wrong::new(
            "readings would be refused before they are told to come back",
            "give more than disk.come_back_percent",
        );
        let place = reader.place_of(s, "alarms_only_percent");
        reader.push(place, s.key("alarms_only_percent"), wrong);
    }
    if quota_mib.is_some_and(|quota_mib| reserve_mib >= quota_mib) {
        let wrong = Wrong::new(
            "the reserve fills the quota",
            "give less than disk.quota_mib",
        );
        let place = reader.place_of(s, "reserve_mib");
        reader.push(place, s.key("reserve_mib"), wrong);
    }
    reader.finish(s);
    Disk {
        come_back_percent,
        alarms_only_percent,
        quota_mib,
        reserve_mib,
    }
}

fn keys(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>) -> Keys {
    let mut scope = reader.section(file, "keys");
    let s = &mut scope;
    let keys = Keys {
        link_file: reader.get(s, "link_file", values::path),
        mbus_file: reader.get(s, "mbus_file", values::path),
        master_key_file: reader.get(s, "master_key_file", values::path),
        allow_clear_keys: reader
            .get(s, "allow_clear_keys", values::flag)
            .unwrap_or(false),
        allow_mode0: reader.get(s, "allow_mode0", values::flag).unwrap_or(false),
    };
    reader.finish(s);
    keys
}

/// The names and the folders that are taken.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    folders: Vec<PathBuf>,
}

impl Names {
    /// Takes a name, which stands for a cursor of the log.
    fn take(&mut self, reader: &mut Reader<'_>, scope: &Scope<'_, '_>, name: &str) {
        if self.names.iter().any(|taken| taken == name) {
            let wrong = Wrong::new("a sink or consumer has this name", "give another name");
            reader.push(reader.place_of(scope, "name"), scope.key("name"), wrong);
        }
        self.names.push(name.to_owned());
    }
}

fn sinks(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>, names: &mut Names) -> Vec<Sink> {
    let scopes = reader.list(file, "sink", Config::SINKS_MAX);
    let read = scopes.into_iter().filter_map(|mut scope| {
        let sink = sink(reader, &mut scope);
        reader.finish(&scope);
        let sink = sink?;
        names.take(reader, &scope, &sink.name);
        if names.folders.contains(&sink.dir) {
            let wrong = Wrong::new("another sink writes there", "give each sink its own folder");
            reader.push(reader.place_of(&scope, "dir"), scope.key("dir"), wrong);
        }
        names.folders.push(sink.dir.clone());
        Some(sink)
    });
    read.collect()
}

fn sink(reader: &mut Reader<'_>, s: &mut Scope<'_, '_>) -> Option<Sink> {
    // All are looked at before any absent one ends it.
    let name = reader.need(s, "name", values::name);
    let kind = reader.need(s, "type", values::sink_kind);
    let dir = reader.need(s, "dir", values::path);
    let rotate_mib = reader.get(s, "rotate_mib", values::whole(1..=65_536));
    let rotate_s = reader.get(s, "rotate_s", values::whole(1..=604_800));
    let utility = reader.get(s, "utility", values::utility);
    let from = reader.get(s, "from", values::from);
    Some(Sink {
        name: name?,
        kind: kind?,
        dir: dir?,
        rotate_mib: rotate_mib.unwrap_or(Sink::ROTATE_MIB),
        rotate_s: rotate_s.unwrap_or(Sink::ROTATE_S),
        utility,
        from: from.unwrap_or_default(),
    })
}

fn consumers(
    reader: &mut Reader<'_>,
    file: &mut Scope<'_, '_>,
    names: &mut Names,
) -> Vec<Consumer> {
    let scopes = reader.list(file, "consumer", Config::CONSUMERS_MAX);
    let read = scopes.into_iter().filter_map(|mut scope| {
        let consumer = consumer(reader, &mut scope);
        reader.finish(&scope);
        let consumer = consumer?;
        names.take(reader, &scope, &consumer.name);
        Some(consumer)
    });
    read.collect()
}

fn consumer(reader: &mut Reader<'_>, s: &mut Scope<'_, '_>) -> Option<Consumer> {
    let name = reader.need(s, "name", values::name);
    let utility = reader.need(s, "utility", values::utility);
    let token_file = reader.need(s, "token_file", values::path);
    let from = reader.get(s, "from", values::from);
    Some(Consumer {
        name: name?,
        utility: utility?,
        token_file: token_file?,
        from: from.unwrap_or_default(),
    })
}

fn api(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>, taken: &mut Taken) -> Api {
    let mut scope = reader.section(file, "api");
    let s = &mut scope;
    let default = Api::default();
    let listen = reader.get(s, "listen", values::address);
    let listen = listen.unwrap_or(default.listen);
    let max_connections = reader.get(s, "max_connections", values::whole(4..=65_535));
    taken.take(reader, (s, "listen"), Transport::Connections, listen);
    reader.finish(s);
    Api {
        listen,
        max_connections: max_connections.unwrap_or(default.max_connections),
    }
}

fn log(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>) -> Log {
    let mut scope = reader.section(file, "log");
    let s = &mut scope;
    let log = Log {
        format: reader
            .get(s, "format", values::log_format)
            .unwrap_or_default(),
        level: reader
            .get(s, "level", values::log_level)
            .unwrap_or_default(),
    };
    reader.finish(s);
    log
}

fn admin(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>) -> Admin {
    let mut scope = reader.section(file, "admin");
    let socket = reader.get(&mut scope, "socket", values::path);
    reader.finish(&scope);
    Admin { socket }
}

fn shutdown(reader: &mut Reader<'_>, file: &mut Scope<'_, '_>) -> Shutdown {
    let mut scope = reader.section(file, "shutdown");
    let s = &mut scope;
    let default = Shutdown::default();
    let sessions_s = reader.get(s, "sessions_s", values::whole(0..=600));
    let store_s = reader.get(s, "store_s", values::whole(1..=600));
    reader.finish(s);
    Shutdown {
        sessions_s: sessions_s.unwrap_or(default.sessions_s),
        store_s: store_s.unwrap_or(default.store_s),
    }
}
