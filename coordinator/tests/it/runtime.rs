//! The runtime folder: where it may be, and what is refused.

#![cfg(unix)]

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, chown, geteuid, mkfifo};
use session_coordinator::{Candidate, ErrorKind, Introduction, Registry, RuntimeDir, RuntimePlaces};

use crate::{child, people};

fn check_order(places: RuntimePlaces, expected: &[&str]) {
    let order: Vec<PathBuf> = places.candidates().into_iter().map(|it| it.path).collect();
    assert_eq!(order, expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{places:?}");
}

#[test]
fn the_order_of_places() {
    let bare = || RuntimePlaces { uid: 1000, ..RuntimePlaces::default() };
    let path = |path: &str| Some(PathBuf::from(path));
    check_order(bare(), &["/tmp/claudewatch-1000"]);
    let full = RuntimePlaces {
        xdg_runtime_dir: path("/run/user/1000"),
        system_run: path("/run/user"),
        temp_dir: path("/scratch"),
        state_dir: path("/home/ada/.local/state/claudewatch"),
        boot_id: Some("5f0c".into()),
        ..bare()
    };
    let expected = [
        "/run/user/1000/claudewatch",
        "/scratch/claudewatch-1000",
        "/home/ada/.local/state/claudewatch/run/5f0c",
    ];
    check_order(full.clone(), &expected);
    check_order(RuntimePlaces { chosen: path("/my/own"), ..full.clone() }, &["/my/own"]);
    check_order(RuntimePlaces { chosen: path("not/absolute"), ..full.clone() }, &expected);
    // A job of cron comes to the same folder as the terminals.
    check_order(RuntimePlaces { xdg_runtime_dir: None, ..full }, &expected);
    let mac = RuntimePlaces { temp_dir: path("/var/folders/x/T"), temp_dir_is_private: true, ..bare() };
    check_order(mac, &["/var/folders/x/T/claudewatch"]);
}

fn check_refused(path: &Path, is_expected: impl Fn(ErrorKind) -> bool) {
    let before = fs::symlink_metadata(path).ok().map(|it| (it.permissions().mode(), it.is_dir()));
    let error = RuntimeDir::open(path).expect_err("it must not be trusted");
    assert!(is_expected(error.kind()), "{path:?}: {error}");
    assert!(error.hint().is_some(), "{error}");
    let after = fs::symlink_metadata(path).ok().map(|it| (it.permissions().mode(), it.is_dir()));
    assert_eq!(before, after, "nothing is changed to make it fit");
}

fn make_folder(path: &Path, mode: u32) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_made_is_private_from_creation() {
    let place = tempfile::tempdir().unwrap();
    child::run("runtime::a_child_makes_everything", place.path());
    let mut folders = vec![place.path().join("a")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().chain(fs::read_dir(place.path()).unwrap()) {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            let is_folder = entry.metadata().unwrap().is_dir();
            assert_eq!(mode, if is_folder { 0o700 } else { 0o600 }, "{:?}", entry.path());
            seen += 1;
            if is_folder && entry.path().parent() != Some(place.path()) {
                folders.push(entry.path());
            }
        }
    }
    assert!(seen > 3);
}

#[test]
fn a_child_makes_everything() {
    let Some(place) = child::place() else { return };
    umask(Mode::empty());
    let candidate = Candidate { path: place.join("a/b/c"), make_parents: true };
    let (runtime, refusals) = RuntimeDir::open_first(&[candidate]).unwrap();
    assert!(refusals.is_empty());
    let registry = Registry::open(&runtime).unwrap();
    let _membership = registry.join(&people::introduction(1)).unwrap();
}

#[test]
fn what_others_could_see_or_replace_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let within = |name: &str| place.path().join(name);

    for mode in [0o755, 0o750, 0o701, 0o720, 0o777, 0o1777] {
        let path = within(&format!("open-{mode:o}"));
        make_folder(&path, mode);
        check_refused(&path, |kind| kind == ErrorKind::Exposed { mode });
    }

    make_folder(&within("real"), 0o700);
    symlink(within("real"), within("link")).unwrap();
    check_refused(&within("link"), |kind| kind == ErrorKind::NotPlain);
    symlink(within("nowhere"), within("dangling")).unwrap();
    check_refused(&within("dangling"), |kind| kind == ErrorKind::NotPlain);
    symlink(within("loop"), within("loop")).unwrap();
    check_refused(&within("loop"), |kind| kind == ErrorKind::NotPlain);
    fs::write(within("file"), "").unwrap();
    check_refused(&within("file"), |kind| kind == ErrorKind::NotPlain);
    mkfifo(&within("pipe"), Mode::S_IRWXU).unwrap();
    check_refused(&within("pipe"), |kind| kind == ErrorKind::NotPlain);

    make_folder(&within("shared"), 0o777);
    check_refused(&within("shared/claudewatch"), |kind| kind == ErrorKind::ExposedAbove { mode: 0o777 });
    fs::create_dir_all(within("shared/deep/deeper")).unwrap();
    check_refused(&within("shared/deep/deeper/claudewatch"), |kind| {
        kind == ErrorKind::ExposedAbove { mode: 0o777 }
    });
    make_folder(&within("group"), 0o770);
    check_refused(&within("group/claudewatch"), |kind| kind == ErrorKind::ExposedAbove { mode: 0o770 });
    // By a link that is fine itself into a folder that is not.
    symlink(within("shared"), within("to-shared")).unwrap();
    check_refused(&within("to-shared/claudewatch"), |kind| kind == ErrorKind::ExposedAbove { mode: 0o777 });

    make_folder(&within("sticky"), 0o1777);
    RuntimeDir::open(&within("sticky/claudewatch")).unwrap();
    symlink(within("real"), within("to-real")).unwrap();
    let through = RuntimeDir::open(&within("to-real/claudewatch")).unwrap();
    assert_eq!(through.path(), within("real").canonicalize().unwrap().join("claudewatch"));
}

const NOBODY: u32 = 65_534;

fn give_away(path: &Path) {
    chown(path, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).unwrap();
}

#[test]
fn what_belongs_to_others_is_refused() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can give a folder to another user");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let within = |name: &str| place.path().join(name);
    let is_foreign = |kind| kind == ErrorKind::Foreign { owner: NOBODY };

    // Somebody was faster in a folder like /tmp.
    make_folder(&within("tmp"), 0o1777);
    make_folder(&within("tmp/claudewatch-0"), 0o700);
    give_away(&within("tmp/claudewatch-0"));
    check_refused(&within("tmp/claudewatch-0"), is_foreign);
    make_folder(&within("tmp/wide"), 0o777);
    give_away(&within("tmp/wide"));
    check_refused(&within("tmp/wide"), is_foreign);
    // Somebody's folder on the way, however it is closed.
    make_folder(&within("tmp/theirs"), 0o755);
    fs::create_dir(within("tmp/theirs/ours")).unwrap();
    give_away(&within("tmp/theirs"));
    check_refused(&within("tmp/theirs/ours/claudewatch"), is_foreign);
    // Somebody's link to a folder of ours.
    make_folder(&within("ours"), 0o700);
    symlink(within("ours"), within("tmp/link")).unwrap();
    nix::unistd::fchownat(
        nix::fcntl::AT_FDCWD,
        &within("tmp/link"),
        Some(Uid::from_raw(NOBODY)),
        None,
        nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
    )
    .unwrap();
    check_refused(&within("tmp/link"), |kind| kind == ErrorKind::NotPlain);
    check_refused(&within("tmp/link/claudewatch"), is_foreign);

    // The other way round, without root's rights.
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    child::run("runtime::a_child_as_somebody_else", place.path());
}

#[test]
fn a_child_as_somebody_else() {
    let Some(place) = child::place() else { return };
    make_folder(&place.join("tmp/claudewatch-65534"), 0o700);
    nix::unistd::setgid(Gid::from_raw(NOBODY)).unwrap();
    nix::unistd::setuid(Uid::from_raw(NOBODY)).unwrap();
    check_refused(&place.join("tmp/claudewatch-65534"), |kind| kind == ErrorKind::Foreign { owner: 0 });
    let closed = RuntimeDir::open(&place.join("mine")).unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Unwritable);
    let nowhere = RuntimeDir::open(&place.join("missing/mine")).unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::Missing);
    // The next candidate is taken, and the reason is kept for who asks.
    let candidate = |path: &str| Candidate { path: place.join(path), make_parents: false };
    let candidates = [candidate("tmp/claudewatch-65534"), candidate("tmp/second")];
    let (runtime, refusals) = RuntimeDir::open_first(&candidates).unwrap();
    assert!(runtime.path().ends_with("tmp/second"));
    assert_eq!(refusals[0].kind(), ErrorKind::Foreign { owner: 0 });
    let none = RuntimeDir::open_first(&[candidate("missing/mine"), candidates[0].clone()]).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Foreign { owner: 0 });
}

/// What a folder of ours was given before we came, while it was open to others.
#[test]
fn traps_within_are_refused() {
    let (_place, runtime) = people::runtime();
    fs::write(runtime.path().join("target"), "theirs").unwrap();
    let who = people::introduction(7);
    let id = session_coordinator::MemberId::of(&who.key, &who.scope);
    DirBuilder::new().mode(0o700).create(runtime.path().join("s")).unwrap();
    let lock = runtime.path().join(format!("s/{id}.lock"));
    symlink(runtime.path().join("target"), &lock).unwrap();
    check_join_refused(&runtime, &who);
    assert_eq!(fs::read(runtime.path().join("target")).unwrap(), b"theirs");
    fs::remove_file(&lock).unwrap();
    mkfifo(&lock, Mode::S_IRWXU).unwrap();
    check_join_refused(&runtime, &who);
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    check_join_refused(&runtime, &who);
    assert!(Registry::open(&runtime).unwrap().members().unwrap().is_empty());
    assert!(Registry::open(&runtime).unwrap().sweep().unwrap().is_empty());
}

fn check_join_refused(runtime: &RuntimeDir, who: &Introduction) {
    let error = Registry::open(runtime).unwrap().join(who).unwrap_err();
    let session_coordinator::JoinError::Failed(error) = error else { panic!("{error}") };
    assert_eq!(error.kind(), ErrorKind::NotPlain, "{error}");
}
