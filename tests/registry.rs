//! Images from a registry: Debian's, on this machine.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Seen, World, see};

/// `docker-registry` on a port of its own. It is killed at the end.
struct Registry {
    process: Child,
    address: String,
    scheme: Scheme,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Plain,
    /// With a certificate of an authority that only the test knows, and a user.
    TlsWithUser,
}

/// `me` with the password `secret`, as htpasswd(1) writes it down with `-B`.
const HTPASSWD: &str = "me:$2b$04$LnpSoUh4Zxa.8fYy.9UCIe7ZLj8Few8a/D7e4WrRo5AGHHUZC1rme\n";

impl Registry {
    fn start(world: &World, scheme: Scheme) -> Self {
        let dir = world.dir().join("registry");
        fs::create_dir(&dir).unwrap();
        // Free for as long as nobody else asks for one at this moment.
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap().to_string();
        drop(port);
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n",
            dir.join("data").display()
        );
        let (key, certificate) = (dir.join("key.pem"), dir.join("ca.crt"));
        match scheme {
            Scheme::Plain => config += &format!("http: {{addr: \"{address}\"}}\n"),
            Scheme::TlsWithUser => {
                make_certificate(&key, &certificate);
                let users = dir.join("users");
                fs::write(&users, HTPASSWD).unwrap();
                config += &format!(
                    "http: {{addr: \"{address}\", tls: {{certificate: {}, key: {}}}}}\n\
                     auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                    certificate.display(),
                    key.display(),
                    users.display()
                );
            }
        }
        let file = dir.join("config.yml");
        fs::write(&file, config).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is not there: setup/install");
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < until, "the registry does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        Self {
            process,
            address,
            scheme,
        }
    }

    /// Pushes the image of an OCI layout.
    fn push(&self, layout: &str, name: &str) {
        let mut command = Command::new("skopeo");
        command.args(["copy", "--quiet", "--dest-tls-verify=false"]);
        if self.scheme == Scheme::TlsWithUser {
            command.args(["--dest-creds", "me:secret"]);
        }
        let to = format!("docker://{}/{name}", self.address);
        run(command.arg(format!("oci:{layout}")).arg(to));
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Of a server that is its own authority.
fn make_certificate(key: &Path, certificate: &Path) {
    run(Command::new("openssl")
        .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test".split(' '))
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate));
}

fn run(command: &mut Command) {
    let done = command
        .output()
        .expect("a tool is not there: setup/install");
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// An OCI layout with an image of three layers, the last of which removes a file of the first.
fn layout(world: &World) -> String {
    let layout = world.dir().join("layout");
    let image = format!("{}:1", layout.display());
    let file = |name: &str, text: &str| -> PathBuf {
        let path = world.dir().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let umoci = |args: &[&str], paths: &[&Path]| {
        run(Command::new("umoci").args(args).args(paths));
    };
    umoci(&["init", "--layout", layout.to_str().unwrap()], &[]);
    umoci(&["new", "--image", &image], &[]);
    let insert = ["insert", "--image", &image];
    umoci(&insert, &[Path::new("/bin/busybox"), Path::new("/bin/sh")]);
    umoci(&insert, &[&file("gone", "gone"), Path::new("/gone")]);
    umoci(&insert, &[&file("kept", "kept"), Path::new("/kept")]);
    umoci(&["insert", "--image", &image, "--whiteout", "/gone"], &[]);
    umoci(
        &[
            "config",
            "--image",
            &image,
            "--config.entrypoint=/bin/sh",
            "--config.entrypoint=-c",
            "--config.cmd=echo $GREETING from $PWD; read kept < /kept; echo $kept; test ! -e /gone",
            "--config.env=GREETING=hello",
            "--config.workingdir=/work",
        ],
        &[],
    );
    image
}

const OUTPUT: &str = "hello from /work\nkept\n";

fn assert_runs(seen: &Seen) {
    assert_eq!(
        (seen.code, seen.stdout_text().as_str()),
        (Some(0), OUTPUT),
        "{seen:?}"
    );
}

#[test]
fn an_image_is_pulled_once_and_run() {
    let world = World::new();
    let registry = Registry::start(&world, Scheme::Plain);
    registry.push(&layout(&world), "team/app:1");
    let name = registry.name("team/app:1");

    let first = world.run(["pull", &name]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(
        first.stdout_text().contains("Downloaded newer image"),
        "{first:?}"
    );
    let second = world.run(["pull", &name]);
    assert!(second.stdout_text().contains("up to date"), "{second:?}");

    drop(registry);
    assert_runs(&world.run(["run", &name]));
}

#[test]
fn run_pulls_what_is_missing_and_what_it_is_told_to() {
    let world = World::new();
    let registry = Registry::start(&world, Scheme::Plain);
    registry.push(&layout(&world), "app:1");
    let name = registry.name("app:1");

    let never = world.run(["run", "--pull", "never", &name]);
    assert_eq!(never.code, Some(125), "{never:?}");
    assert_runs(&world.run(["run", &name]));
    assert_runs(&world.run(["run", "--pull", "always", &name]));

    drop(registry);
    assert_runs(&world.run(["run", &name]));
    let always = world.run(["run", "--pull", "always", &name]);
    assert_eq!(always.code, Some(125), "{always:?}");
}

#[test]
fn an_image_is_pulled_by_the_digest_of_its_manifest() {
    let world = World::new();
    let registry = Registry::start(&world, Scheme::Plain);
    registry.push(&layout(&world), "app:1");
    let pulled = world.run(["pull", &registry.name("app:1")]).stdout_text();
    let digest = pulled
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("Digest: "));
    let by_digest = registry.name(&format!("app@{}", digest.unwrap()));
    assert_runs(&world.run(["run", &by_digest]));
    let wrong = by_digest.replace(&by_digest[by_digest.len() - 4..], "0000");
    assert_eq!(world.run(["run", &wrong]).code, Some(125));
}

#[test]
fn an_image_for_another_processor_is_pulled_with_a_warning() {
    let world = World::new();
    let registry = Registry::start(&world, Scheme::Plain);
    let layout = layout(&world);
    let arguments = ["config", "--image", &layout, "--architecture=s390x"];
    run(Command::new("umoci").args(arguments));
    registry.push(&layout, "app:1");
    let name = registry.name("app:1");
    let pulled = world.run(["pull", "-q", &name]);
    assert_eq!(
        (pulled.code, pulled.stdout_text()),
        (Some(0), format!("{name}\n"))
    );
    assert!(pulled.stderr.contains("is for s390x"), "{pulled:?}");
    assert_eq!(pulled.stderr.lines().count(), 1, "{pulled:?}");
}

#[test]
fn a_registry_with_tls_and_users_is_asked_by_one_of_them() {
    let world = World::new();
    let registry = Registry::start(&world, Scheme::TlsWithUser);
    registry.push(&layout(&world), "app:1");
    let name = registry.name("app:1");
    let certificate = world.dir().join("registry/ca.crt");
    let pull = |args: &[&str], trusted: bool, auth_file: Option<&Path>| {
        let mut command = world.jaula([&["pull"], args, &[name.as_str()]].concat());
        if trusted {
            command.env("SSL_CERT_FILE", &certificate);
        }
        command.env(
            "REGISTRY_AUTH_FILE",
            auth_file.unwrap_or(Path::new("/nonexistent")),
        );
        see(command, b"")
    };

    let unknown_authority = pull(&["--creds", "me:secret"], false, None);
    assert_eq!(unknown_authority.code, Some(125), "{unknown_authority:?}");
    assert!(
        unknown_authority.stderr.contains("certs.d"),
        "{unknown_authority:?}"
    );
    assert_eq!(unknown_authority.stderr.lines().count(), 1);
    for args in [&[][..], &["--creds", "me:wrong"]] {
        let refused = pull(args, true, None);
        assert_eq!(refused.code, Some(125), "{refused:?}");
        assert!(refused.stderr.contains("refuses"), "{refused:?}");
        assert!(!refused.stderr.contains("wrong"), "{refused:?}");
    }
    let logged_in = world.dir().join("auth.json");
    let address = &registry.address;
    // me:secret
    let auths = format!(r#"{{"auths":{{"{address}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#);
    fs::write(&logged_in, auths).unwrap();
    let pulled = pull(&[], true, Some(&logged_in));
    assert_eq!(pulled.code, Some(0), "{pulled:?}");
    let again = pull(&["--creds", "me:secret"], true, None);
    assert_eq!(again.code, Some(0), "{again:?}");
}

#[test]
fn a_registry_that_is_not_there_is_told_in_few_words() {
    let world = World::new();
    // Nobody listens there, and no name ends so (RFC 6761, section 6.4).
    for (registry, expected) in [
        ("127.0.0.1:1", "Connection refused"),
        (
            "registry.invalid",
            "no address of registry.invalid is found",
        ),
    ] {
        let seen = world.run(["pull", &format!("{registry}/app")]);
        assert_eq!(seen.code, Some(125), "{seen:?}");
        let began = format!("jaula: can't get the manifest from {registry}: {expected}");
        assert!(seen.stderr.starts_with(&began), "{seen:?}");
        assert!(!seen.stderr.contains("certificate"), "{seen:?}");
        assert_eq!(seen.stderr.lines().count(), 1, "{seen:?}");
    }
}

#[test]
fn two_pulls_at_once_both_have_the_image() {
    let world = World::new();
    let registry = Registry::start(&world, Scheme::Plain);
    registry.push(&layout(&world), "app:1");
    let name = registry.name("app:1");
    let seen = thread::scope(|scope| {
        let pulls = [(); 2].map(|()| scope.spawn(|| world.run(["pull", &name])));
        pulls.map(|pull| pull.join().unwrap())
    });
    for seen in seen {
        assert_eq!(seen.code, Some(0), "{seen:?}");
    }
    assert_runs(&world.run(["run", "--pull", "never", &name]));
}

/// Killed at many moments of its way, in every part of it, a pull leaves nothing that runs by half.
#[test]
fn a_pull_may_be_killed_at_any_moment() {
    const KILLS: u32 = 24;
    let world = World::new();
    let registry = Registry::start(&world, Scheme::Plain);
    let image = layout(&world);
    // Large enough to be killed amid.
    let large = world.dir().join("large");
    let noise = (0..8_000_000u32).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8);
    fs::write(&large, noise.collect::<Vec<_>>()).unwrap();
    run(Command::new("umoci")
        .args(["insert", "--image", &image])
        .args([&large, Path::new("/large")]));
    registry.push(&image, "app:1");
    let name = registry.name("app:1");

    let began = Instant::now();
    assert_eq!(world.run(["pull", &name]).code, Some(0));
    let whole = began.elapsed();
    let id = world.run(["images", "-q"]).stdout_text();
    assert_eq!(world.run(["rmi", &name]).code, Some(0));

    let mut pulled = 0;
    for kill in 0..KILLS {
        let mut child = world.jaula(["pull", "-q", &name]).spawn().unwrap();
        // Spread over the whole, and never in the same order as its parts.
        thread::sleep(whole * (kill * 7 % KILLS) / KILLS);
        child.kill().unwrap();
        child.wait().unwrap();
        let run = world.run(["run", "--pull", "never", &name]);
        if run.code == Some(125) {
            assert!(run.stderr.contains("there is no image"), "{run:?}");
            continue;
        }
        assert_runs(&run);
        pulled += 1;
        // Layers that are there are not pulled again: from the beginning, then.
        assert_eq!(world.run(["rmi", id.trim()]).code, Some(0));
    }
    assert!(pulled < KILLS, "it was never killed before its end");
    assert_runs(&world.run(["run", &name]));
    let layers = fs::read_dir(world.dir().join("data/images/layers")).unwrap();
    let names: Vec<_> = layers.map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
}
