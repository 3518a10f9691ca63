//! Which layer may name what.

use super::paths::{NamedPath, absolute, module_of};
use super::{Problem, RustFile};

/// What the files under some directories may not name.
struct LayerRule {
    /// Paths that begin with one of these…
    under: &'static [&'static str],
    /// …and with none of these.
    except: &'static [&'static str],
    /// Path prefixes, or a bare name that may be no segment of a path.
    banned: &'static [&'static str],
    /// Why.
    reason: &'static str,
}

const RULES: &[LayerRule] = &[
    LayerRule {
        under: &[
            "src/wire",
            "src/crypto",
            "src/keyring",
            "src/model",
            "src/session",
        ],
        except: &[],
        banned: &[
            "tokio",
            "std::time",
            "core::time",
            "std::net",
            "std::fs",
            "std::env",
            "std::process",
            "std::thread",
            "tracing",
            "log",
            "println",
            "eprintln",
            "print",
            "eprint",
            "crate::cli",
            "crate::time::Clock",
            "crate::time::SystemClock",
        ],
        reason: "this layer is pure: bytes, keys and times are passed in",
    },
    LayerRule {
        under: &["src/wire"],
        except: &[],
        banned: &["crate::crypto", "crate::keyring", "crate::session"],
        reason: "wire knows bytes only, no keys and no sessions",
    },
    LayerRule {
        under: &["src/crypto"],
        except: &[],
        banned: &["crate::keyring", "crate::session"],
        reason: "crypto takes keys as arguments",
    },
    LayerRule {
        under: &["src/keyring"],
        except: &[],
        banned: &["crate::session"],
        reason: "the key ring serves sessions and does not know them",
    },
    LayerRule {
        under: &["src/net"],
        except: &[],
        banned: &[
            "crate::ingest",
            "crate::store",
            "crate::app",
            "crate::cli",
            "crate::forward",
        ],
        reason: "net moves octets; what they mean is behind its contract",
    },
    LayerRule {
        under: &["src/store"],
        except: &[],
        banned: &[
            "crate::net",
            "crate::ingest",
            "crate::app",
            "crate::cli",
            "crate::forward",
            "crate::registry",
            "crate::admin",
        ],
        reason: "the store knows what is durable, not who asked for it",
    },
    LayerRule {
        under: &["src/ingest", "src/forward", "src/registry", "src/admin"],
        except: &[],
        banned: &["crate::app", "crate::cli"],
        reason: "what is put together does not know who puts it together",
    },
    LayerRule {
        under: &["src/ingest", "src/forward", "src/registry"],
        except: &[],
        banned: &["crate::admin"],
        reason: "what operators ask for does not know how they ask",
    },
    LayerRule {
        under: &["src/registry"],
        except: &[],
        banned: &[
            "tokio",
            "std::net",
            "crate::net",
            "crate::api",
            "crate::ingest",
            "crate::forward",
            "crate::session",
        ],
        reason: "the registry checks and appends; it knows no sockets and no sessions",
    },
    LayerRule {
        under: &["src/admin"],
        except: &[],
        banned: &[
            "crate::net",
            "crate::api",
            "crate::ingest",
            "crate::session",
        ],
        reason: "the admin socket hands over what registry and sinks take",
    },
    LayerRule {
        under: &["src/"],
        except: &["src/admin"],
        banned: &[
            "std::os::unix::net",
            "tokio::net::UnixListener",
            "tokio::net::UnixStream",
        ],
        reason: "only admin opens Unix sockets",
    },
    LayerRule {
        under: &["src/api", "src/forward"],
        except: &[],
        banned: &["crate::session"],
        reason: "what leaves the server is the model, never a session's inside",
    },
    LayerRule {
        under: &["src/"],
        except: &["src/cli", "src/store"],
        banned: &["std::fs", "tokio::fs"],
        reason: "only cli and store open files",
    },
    LayerRule {
        under: &["src/"],
        except: &["src/time.rs"],
        banned: &["SystemTime", "Instant"],
        reason: "only src/time.rs reads clocks",
    },
    LayerRule {
        under: &["simulator/"],
        except: &[],
        banned: &["kenshin"],
        reason: "the simulator is a second implementation, from the specification alone",
    },
];

/// Names that a file's layer forbids. Test code is free, but for the simulator's independence.
pub(crate) fn check(file: &RustFile) -> Vec<Problem> {
    let is_under = |prefix: &str| {
        let rest = file.path.strip_prefix(prefix);
        rest.is_some_and(|rest| prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
            || file.path == format!("{prefix}.rs")
    };
    let mut problems = Vec::new();
    for rule in RULES {
        if !rule.under.iter().any(|p| is_under(p)) || rule.except.iter().any(|p| is_under(p)) {
            continue;
        }
        for path in &file.paths {
            if file.is_test_line(path.line) && !file.path.starts_with("simulator/") {
                continue;
            }
            if let Some(banned) = rule.banned.iter().find(|banned| names(path, banned, file)) {
                let message = format!("names `{banned}`: {}", rule.reason);
                problems.push(Problem::new(&file.path, path.line, "layer", message));
            }
        }
    }
    problems
}

fn names(path: &NamedPath, banned: &str, file: &RustFile) -> bool {
    match banned {
        "SystemTime" | "Instant" => path.segments.iter().any(|segment| segment == banned),
        "print" | "println" | "eprint" | "eprintln" => {
            path.is_macro && path.segments.last().is_some_and(|last| last == banned)
        }
        // A plain name may be a variable; a path or a macro cannot.
        "tokio" | "tracing" | "log" | "kenshin" => {
            path.segments.len() > 1 && path.segments[0] == banned
        }
        _ => {
            let full = absolute(&path.segments, &module_of(&file.path));
            let wanted: Vec<&str> = banned.split("::").collect();
            full.len() >= wanted.len() && full.iter().zip(&wanted).all(|(a, b)| a == b)
        }
    }
}

/// The simulator's manifest may not depend on the server, under whatever name.
pub(crate) fn check_simulator_manifest(text: &str) -> Vec<Problem> {
    let path = "simulator/Cargo.toml";
    let manifest: toml::Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Problem::new(path, 1, "layer", error.to_string())],
    };
    let mut problems = Vec::new();
    for (section, value) in &manifest {
        let Some(table) = value
            .as_table()
            .filter(|_| section.ends_with("dependencies"))
        else {
            continue;
        };
        for (name, dependency) in table {
            let package = dependency
                .get("package")
                .and_then(toml::Value::as_str)
                .unwrap_or(name);
            let is_parent = dependency.get("path").and_then(toml::Value::as_str) == Some("..");
            if name == "kenshin" || package == "kenshin" || is_parent {
                let message = format!("[{section}] {name}: the simulator must not use the server");
                problems.push(Problem::new(path, 1, "layer", message));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&RustFile::parse(path, text))
            .iter()
            .map(|problem| problem.line)
            .collect()
    }

    #[test]
    fn pure_layers_may_not_name_the_world() {
        let text = "use std::{fs, fmt};\nuse tokio::net;\nfn f() { println!(); }\n\
            fn g() -> std::time::Duration { todo() }\nfn h() { tracing::info!(); }\n\
            use std::env; use crate::time::SystemClock;\n";
        for dir in [
            "src/wire/a.rs",
            "src/crypto/mod.rs",
            "src/model.rs",
            "src/session/x/y.rs",
        ] {
            let lines = lines(dir, text);
            for line in 1..=6 {
                assert!(lines.contains(&line), "{dir}:{line} {lines:?}");
            }
        }
        assert_eq!(lines("src/net/mod.rs", "use tokio::net;\n"), NONE);
        assert_eq!(
            lines(
                "src/wire/a.rs",
                "use crate::time::UtcSeconds; let log = 1;\n"
            ),
            NONE
        );
    }

    #[test]
    fn test_code_of_a_pure_layer_may_read_files() {
        let text = "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(lines("src/wire/a.rs", text), NONE);
    }

    #[test]
    fn lower_layers_may_not_name_higher_ones() {
        assert_eq!(
            lines("src/wire/a.rs", "use crate::{crypto::Key, wire::B};\n"),
            [1]
        );
        assert_eq!(lines("src/wire/a.rs", "use super::super::keyring;\n"), [1]);
        assert_eq!(
            lines("src/crypto/a.rs", "fn f(k: crate::keyring::K) {}\n"),
            [1]
        );
        assert_eq!(lines("src/keyring/a.rs", "use crate::session::S;\n"), [1]);
        assert_eq!(lines("src/api/a.rs", "use crate::session::S;\n"), [1]);
        assert_eq!(
            lines(
                "src/session/a.rs",
                "use crate::{crypto::Key, keyring::K};\n"
            ),
            NONE
        );
    }

    #[test]
    fn the_registry_knows_no_sockets_and_only_admin_opens_those_of_operators() {
        assert_eq!(lines("src/registry/a.rs", "use tokio::net;\n"), [1]);
        assert_eq!(lines("src/registry/a.rs", "use crate::session::S;\n"), [1]);
        assert_eq!(lines("src/registry/a.rs", "use crate::store::S;\n"), NONE);
        let unix = "use std::os::unix::net::UnixStream;\nuse tokio::net::UnixListener;\n";
        assert_eq!(lines("src/cli/a.rs", unix), [1, 2]);
        assert_eq!(lines("src/admin/a.rs", unix), NONE);
        assert_eq!(lines("src/admin/a.rs", "use crate::app::A;\n"), [1]);
    }

    #[test]
    fn files_and_clocks_have_one_owner() {
        assert_eq!(lines("src/app.rs", "use std::fs;\n"), [1]);
        assert_eq!(lines("src/cli/decode.rs", "use std::fs;\n"), NONE);
        assert_eq!(lines("src/cli/decode.rs", "use std::time::Instant;\n"), [1]);
        assert_eq!(lines("src/time.rs", "use std::time::Instant;\n"), NONE);
    }

    #[test]
    fn simulator_may_not_use_the_server() {
        assert_eq!(lines("simulator/src/a.rs", "use kenshin::wire;\n"), [1]);
        assert_eq!(
            lines("simulator/tests/a.rs", "#[test]\nfn f() { kenshin::x() }\n"),
            [2]
        );
        let manifest = "[dev-dependencies]\nx = { package = \"kenshin\", path = \"..\" }\n";
        assert_eq!(check_simulator_manifest(manifest).len(), 1);
        assert_eq!(
            check_simulator_manifest("[dependencies]\naes.workspace = true\n").len(),
            0
        );
    }
}
