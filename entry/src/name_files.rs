//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`, which docker provides too: without the
//! first one, `localhost` has no address in most images.

use std::ffi::CStr;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use launch::{ExtraHost, HostAddress, Hostname, Names};
use serde::{Deserialize, Serialize};

use crate::syscall::{self, Errno, Result};

const ETC: &CStr = c"etc";

/// A line of `/etc/hosts` that is for the host, where the instance has no way to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} can't stand for the host, which the instance has no network to")]
pub struct NoGateway(String);

/// What the files hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameFiles {
    /// `/etc/hosts`.
    pub hosts: Vec<u8>,
    /// `/etc/hostname`.
    pub hostname: Vec<u8>,
    /// `/etc/resolv.conf`; that of the image is left if there is none.
    pub resolv_conf: Option<Vec<u8>>,
}

impl NameFiles {
    /// Of an instance that is called `hostname` and has the address `own`. `gateway` is how it
    /// reaches the host. Without servers, `/etc/resolv.conf` is left alone.
    ///
    /// # Errors
    ///
    /// When a name stands for the gateway and there is none.
    pub fn new(
        hostname: &Hostname,
        own: IpAddr,
        names: &Names,
        gateway: Option<IpAddr>,
    ) -> std::result::Result<Self, NoGateway> {
        let Names { servers, hosts } = names;
        let mut lines = format!(
            "127.0.0.1\tlocalhost\n\
             ::1\tlocalhost ip6-localhost ip6-loopback\n\
             {own}\t{hostname}\n"
        );
        for ExtraHost { name, address } in hosts {
            let address = match address {
                HostAddress::Address(address) => *address,
                HostAddress::Gateway => gateway.ok_or_else(|| NoGateway(name.clone()))?,
            };
            lines.push_str(&format!("{address}\t{name}\n"));
        }
        let resolv_conf = servers
            .iter()
            .map(|server| format!("nameserver {server}\n"))
            .collect::<String>();
        Ok(Self {
            hosts: lines.into(),
            hostname: format!("{hostname}\n").into(),
            resolv_conf: (!servers.is_empty()).then(|| resolv_conf.into()),
        })
    }

    /// Of an instance that has no network but its loopback interface, where the hostname has an
    /// address of its own, as Debian does it.
    ///
    /// # Errors
    ///
    /// When a name stands for the gateway.
    pub fn without_network(
        hostname: &Hostname,
        names: &Names,
    ) -> std::result::Result<Self, NoGateway> {
        Self::new(hostname, IpAddr::from([127, 0, 1, 1]), names, None)
    }

    /// Puts them into the empty upper directory of an overlay that is not mounted yet, where
    /// there is nothing of the image's that could lead elsewhere. `layer` is a layer of the image
    /// whose `/etc` is not hidden by one above; `false` if it has none. An image whose `/etc` is
    /// no directory goes without. `keep_owner` needs the right to give files away.
    pub(crate) fn write(
        &self,
        upper: BorrowedFd<'_>,
        layer: BorrowedFd<'_>,
        keep_owner: bool,
    ) -> Result<bool> {
        let like = match syscall::stat_no_follow(layer, ETC) {
            Ok(stat) if stat.st_mode & libc::S_IFMT != libc::S_IFDIR => return Ok(true),
            Ok(stat) => stat,
            Err(Errno(libc::ENOENT)) => return Ok(false),
            Err(errno) => return Err(errno),
        };
        // The overlay shows a directory with the owner and mode that it has in the upper layer.
        syscall::make_directory(upper, ETC, like.st_mode & 0o7777)?;
        if keep_owner {
            syscall::give_away(upper, ETC, like.st_uid, like.st_gid)?;
        }
        self.write_files(upper)?;
        Ok(true)
    }

    /// The same for an image that has no `/etc`.
    pub(crate) fn write_without_etc(&self, upper: BorrowedFd<'_>) -> Result<()> {
        syscall::make_directory(upper, ETC, 0o755)?;
        self.write_files(upper)
    }

    fn write_files(&self, upper: BorrowedFd<'_>) -> Result<()> {
        let etc = syscall::open_in_root(upper, ETC, libc::O_DIRECTORY, 0)?;
        write_new(etc.as_fd(), c"hosts", &self.hosts)?;
        write_new(etc.as_fd(), c"hostname", &self.hostname)?;
        match &self.resolv_conf {
            Some(bytes) => write_new(etc.as_fd(), c"resolv.conf", bytes),
            None => Ok(()),
        }
    }
}

fn write_new(directory: BorrowedFd<'_>, name: &CStr, bytes: &[u8]) -> Result<()> {
    let file = syscall::create_file(directory, name, 0o644)?;
    syscall::write_all(file.as_fd(), bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;

    fn files(names: Names) -> std::result::Result<NameFiles, NoGateway> {
        NameFiles::without_network(&"box".parse().unwrap(), &names)
    }

    fn extra(name: &str, address: HostAddress) -> Names {
        Names {
            hosts: vec![ExtraHost {
                name: name.to_owned(),
                address,
            }],
            ..Names::default()
        }
    }

    #[test]
    fn servers_and_hosts_are_those_that_were_asked_for() {
        let db = HostAddress::Address([10, 0, 0, 7].into());
        let names = Names {
            servers: vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
            ..extra("db", db)
        };
        let files = files(names).unwrap();
        assert!(files.hosts.ends_with(b"127.0.1.1\tbox\n10.0.0.7\tdb\n"));
        assert_eq!(
            files.resolv_conf.unwrap(),
            b"nameserver 192.0.2.1\nnameserver 192.0.2.2\n"
        );
    }

    #[test]
    fn without_servers_the_images_own_are_left() {
        assert_eq!(files(Names::default()).unwrap().resolv_conf, None);
    }

    #[test]
    fn the_gateway_takes_a_network() {
        let names = extra("host", HostAddress::Gateway);
        assert_eq!(files(names.clone()), Err(NoGateway("host".to_owned())));
        let hostname = "box".parse().unwrap();
        let [own, gateway] = [[10, 0, 0, 2], [10, 0, 0, 1]].map(IpAddr::from);
        let files = NameFiles::new(&hostname, own, &names, Some(gateway)).unwrap();
        assert!(files.hosts.ends_with(b"10.0.0.2\tbox\n10.0.0.1\thost\n"));
    }

    struct Layers(PathBuf);

    impl Layers {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("jaula-{name}-{}", std::process::id()));
            fs::create_dir_all(dir.join("upper")).unwrap();
            fs::create_dir_all(dir.join("lower")).unwrap();
            Self(dir)
        }

        fn write(&self) {
            let upper = File::open(self.0.join("upper")).unwrap();
            let lower = File::open(self.0.join("lower")).unwrap();
            let names = files(Names::default()).unwrap();
            if !names.write(upper.as_fd(), lower.as_fd(), true).unwrap() {
                names.write_without_etc(upper.as_fd()).unwrap();
            }
        }
    }

    impl Drop for Layers {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn names_are_written_where_the_image_has_no_etc() {
        let layers = Layers::new("no-etc");
        layers.write();
        let etc = layers.0.join("upper/etc");
        let hosts = fs::read_to_string(etc.join("hosts")).unwrap();
        assert!(hosts.contains("127.0.0.1\tlocalhost\n"));
        assert!(hosts.contains("\tbox\n"));
        assert_eq!(fs::read_to_string(etc.join("hostname")).unwrap(), "box\n");
    }

    #[test]
    fn etc_keeps_the_mode_that_it_has_in_the_image() {
        let layers = Layers::new("etc-mode");
        let etc = layers.0.join("lower/etc");
        fs::create_dir(&etc).unwrap();
        fs::set_permissions(&etc, fs::Permissions::from_mode(0o750)).unwrap();
        layers.write();
        let made = fs::metadata(layers.0.join("upper/etc")).unwrap();
        assert_eq!(made.mode() & 0o7777, 0o750);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let layers = Layers::new("etc-link");
        let elsewhere = layers.0.join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, layers.0.join("lower/etc")).unwrap();
        layers.write();
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        assert_eq!(fs::read_dir(layers.0.join("upper")).unwrap().count(), 0);
    }
}
