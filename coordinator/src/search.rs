//! Looks for transcripts with several threads, and lists only folders that have changed: where there are thousands, most of
//! a report's time goes there.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_store::{
    FileNames, Folder, FolderStamp, Listed, Listing, Listings, ProblemKind, Source, Timestamp,
};

/// Fewer folders or files than these are looked at sooner than a thread starts.
const PARALLEL_MIN: usize = 64;
/// Into how many parts for each thread work is divided.
const PARTS_A_THREAD: usize = 8;
/// Folders that had to be listed for it to be worth keeping what all of them held.
const KEEP_MIN: usize = 16;
/// After this everything is listed again, so that a file system which fails to tell of a change does no lasting harm.
const KNOWN_FOR: Duration = Duration::from_secs(86_400);

/// What a search found.
#[derive(Default)]
pub(crate) struct Search {
    /// The transcripts that are not in a state that was asked to be passed over.
    pub sources: Vec<Source>,
    /// The [`Source::state`] of every transcript.
    pub states: Vec<u64>,
    /// What is no transcript although it lies where one should, and why.
    pub problems: Vec<(ProblemKind, PathBuf)>,
    /// What the next search should know, where that spares it enough.
    pub listings: Option<Listings>,
}

/// Finds every transcript under some config folders, given what folders held before, and which states are of no interest.
pub(crate) fn search(
    config_dirs: &[PathBuf],
    known: &Listings,
    pass_over: &(dyn Fn(u64) -> bool + Sync),
) -> Search {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    search_at(config_dirs, known, pass_over, now)
}

/// Does the search at a moment: that of its beginning.
fn search_at(
    config_dirs: &[PathBuf],
    known: &Listings,
    pass_over: &(dyn Fn(u64) -> bool + Sync),
    now: Timestamp,
) -> Search {
    let is_fresh = known.at <= now && now.since(known.at) < KNOWN_FOR;
    let (at, known) = if is_fresh { (known.at, &known.folders[..]) } else { (now, &[][..]) };
    let mut tree = Tree::revisit(config_dirs.iter().map(|dir| Folder::root(dir)).collect(), known);
    tree.explore();
    let files = tree.files();
    let mut search = Search::default();
    for part in in_parts(&files, |part| look_at(part, pass_over)) {
        search.add(part);
    }
    search.listings = tree.listings(at, now);
    search.problems.extend(tree.nodes.into_iter().flat_map(|node| match node.held {
        Held::AsKnown(_) => Vec::new(),
        Held::Listed(listing) => listing.problems,
    }));
    search
}

/// Looks at files in folders.
fn look_at(files: &[(&Folder, Cow<'_, Path>)], pass_over: &(dyn Fn(u64) -> bool + Sync)) -> Search {
    let mut found = Search { states: Vec::with_capacity(files.len()), ..Search::default() };
    for (folder, name) in files {
        match folder.glimpse(name) {
            Ok(Some(glimpse)) => {
                let state = glimpse.state();
                found.states.push(state);
                found.sources.extend((!pass_over(state)).then(|| glimpse.source()));
            }
            Ok(None) => {}
            Err(problem) => found.problems.push(problem),
        }
    }
    found
}

impl Search {
    fn add(&mut self, other: Self) {
        self.sources.extend(other.sources);
        self.states.extend(other.states);
        self.problems.extend(other.problems);
    }
}

/// The folders below the config folders, each after the one that holds it.
struct Tree<'k> {
    nodes: Vec<Node<'k>>,
    /// What was found and not yet looked at, with the place of the folder that holds it.
    unexplored: Vec<(Folder, Option<usize>)>,
    /// Folders that were known and are there no more.
    gone: usize,
}

struct Node<'k> {
    folder: Folder,
    parent: Option<usize>,
    /// As it was before the folder was listed: what changes meanwhile must show the next time.
    stamp: Option<FolderStamp>,
    held: Held<'k>,
}

enum Held<'k> {
    AsKnown(&'k Listed),
    Listed(Listing),
}

impl<'k> Tree<'k> {
    /// Looks whether the folders that are known have changed, and lists those that have.
    fn revisit(roots: Vec<Folder>, known: &'k [Listed]) -> Self {
        let mut tree = Self { nodes: Vec::with_capacity(known.len()), unexplored: Vec::new(), gone: 0 };
        // Other config folders may be known than those that are asked for.
        let mut wanted = vec![false; known.len()];
        for (place, listed) in known.iter().enumerate() {
            wanted[place] = match listed.parent {
                None => roots.contains(&listed.folder),
                Some(parent) => wanted.get(parent) == Some(&true),
            };
        }
        let wanted: Vec<usize> = (0..known.len()).filter(|&place| wanted[place]).collect();
        let visits = in_parts(&wanted, |part| {
            part.iter().map(|&place| visit(&known[place].folder, Some(&known[place]))).collect::<Vec<_>>()
        });
        // A folder counts only where the one above it still holds it: its path may lead elsewhere by now.
        let mut places: Vec<Option<usize>> = vec![None; known.len()];
        let mut known_below: HashSet<&Path> = HashSet::new();
        for (place, (stamp, held)) in wanted.into_iter().zip(visits.into_iter().flatten()) {
            let Listed { folder, parent, .. } = &known[place];
            let parent_now = parent.and_then(|parent| *places.get(parent)?);
            let is_there = match (parent, parent_now) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(_), Some(above)) => match &tree.nodes[above].held {
                    Held::AsKnown(_) => true,
                    Held::Listed(listing) => {
                        known_below.insert(folder.path());
                        listing.holds(folder)
                    }
                },
            };
            if is_there {
                places[place] = Some(tree.nodes.len());
                tree.nodes.push(Node { folder: folder.clone(), parent: parent_now, stamp, held });
            } else {
                tree.gone += 1;
            }
        }
        for (place, node) in tree.nodes.iter().enumerate() {
            if let Held::Listed(listing) = &node.held {
                let new = listing.folders.iter().filter(|folder| !known_below.contains(folder.path()));
                tree.unexplored.extend(new.map(|folder| (folder.clone(), Some(place))));
            }
        }
        let known_roots: HashSet<&Path> =
            tree.nodes.iter().filter(|node| node.parent.is_none()).map(|node| node.folder.path()).collect();
        let new =
            roots.into_iter().filter(|root| !known_roots.contains(root.path())).map(|root| (root, None));
        tree.unexplored.extend(new.collect::<Vec<_>>());
        tree
    }

    /// Lists what is new, level by level, because each can be shared evenly.
    fn explore(&mut self) {
        while !self.unexplored.is_empty() {
            let level = std::mem::take(&mut self.unexplored);
            let visits = in_parts(&level, |part| {
                part.iter().map(|(folder, _)| visit(folder, None)).collect::<Vec<_>>()
            });
            for ((folder, parent), (stamp, held)) in level.into_iter().zip(visits.into_iter().flatten()) {
                if let Held::Listed(listing) = &held {
                    let place = self.nodes.len();
                    self.unexplored.extend(listing.folders.iter().map(|below| (below.clone(), Some(place))));
                }
                self.nodes.push(Node { folder, parent, stamp, held });
            }
        }
    }

    /// Returns the files in all folders, each once, also where one config folder is given twice or lies in another.
    fn files(&self) -> Vec<(&Folder, Cow<'_, Path>)> {
        let mut seen = HashSet::new();
        let has_one_root = self.nodes.iter().filter(|node| node.parent.is_none()).count() <= 1;
        let nodes = self.nodes.iter().filter(|node| has_one_root || seen.insert(node.folder.path()));
        nodes.flat_map(|node| node.files().iter().map(|name| (&node.folder, name))).collect()
    }

    /// Returns what the next search should know, where it would be spared enough.
    fn listings(&self, at: Timestamp, now: Timestamp) -> Option<Listings> {
        let is_listed = |node: &Node<'_>| matches!(node.held, Held::Listed(_));
        if self.gone + self.nodes.iter().filter(|node| is_listed(node)).count() < KEEP_MIN {
            return None;
        }
        let mut devices = HashMap::new();
        let mut spared = self.gone;
        let mut folders = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let stamp = node.lasting_stamp(now).filter(|stamp| {
                *devices.entry(stamp.file.0).or_insert_with(|| tells_of_changes(node.folder.path()))
            });
            spared += usize::from(is_listed(node) && stamp.is_some());
            let (folder, files) = (node.folder.clone(), node.files().clone());
            folders.push(Listed { folder, parent: node.parent, stamp, files });
        }
        (spared >= KEEP_MIN).then_some(Listings { at, folders })
    }
}

impl Node<'_> {
    fn files(&self) -> &FileNames {
        match &self.held {
            Held::AsKnown(listed) => &listed.files,
            Held::Listed(listing) => &listing.files,
        }
    }

    /// Returns the stamp where it vouches for what the folder held.
    fn lasting_stamp(&self, now: Timestamp) -> Option<FolderStamp> {
        match &self.held {
            Held::AsKnown(listed) => listed.stamp,
            // What could not be read may be readable the next time.
            Held::Listed(listing) if !listing.problems.is_empty() => None,
            Held::Listed(_) => self.stamp.filter(|stamp| stamp.is_settled(now)),
        }
    }
}

/// Looks whether a folder is as it is known, and lists it where it is not.
fn visit<'k>(folder: &Folder, known: Option<&'k Listed>) -> (Option<FolderStamp>, Held<'k>) {
    let stamp = FolderStamp::of(folder);
    match known {
        Some(known) if stamp.is_some() && known.stamp == stamp => (stamp, Held::AsKnown(known)),
        _ => (stamp, Held::Listed(folder.list())),
    }
}

/// Returns whether a file system is one whose folders surely get a new time with each change. Those of other machines
/// may not: their times are remembered for a while, and other clocks made them.
#[cfg(target_os = "linux")]
fn tells_of_changes(path: &Path) -> bool {
    use nix::sys::statfs;
    const LOCAL: [statfs::FsType; 5] = [
        statfs::EXT4_SUPER_MAGIC,
        statfs::BTRFS_SUPER_MAGIC,
        statfs::XFS_SUPER_MAGIC,
        statfs::TMPFS_MAGIC,
        statfs::OVERLAYFS_SUPER_MAGIC,
    ];
    statfs::statfs(path).is_ok_and(|told| LOCAL.contains(&told.filesystem_type()))
}

#[cfg(not(target_os = "linux"))]
fn tells_of_changes(_path: &Path) -> bool {
    false
}

/// Does the same to each part of some items, with several threads where that pays; returns what came of the parts in their
/// order.
fn in_parts<Item: Sync, Out: Send>(items: &[Item], each: impl Fn(&[Item]) -> Out + Sync) -> Vec<Out> {
    if items.len() < PARALLEL_MIN {
        return vec![each(items)];
    }
    // More parts than threads: one that starts late, or shares its core with others, takes fewer of them.
    let parts: Vec<&[Item]> = items.chunks(items.len().div_ceil(crate::threads() * PARTS_A_THREAD)).collect();
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(place) else { return done };
            done.push((place, each(part)));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..crate::threads()).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, out)| out).collect()
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on fails best where it stands")]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// A config folder of twenty conversations, four of them with sub-agents.
    fn config() -> TempDir {
        let config = TempDir::new().unwrap();
        for number in 0..20 {
            let slug = config.path().join(format!("projects/{}", number % 4));
            fs::create_dir_all(slug.join(format!("{number}/subagents"))).unwrap();
            fs::write(slug.join(format!("{number}.jsonl")), "1\n").unwrap();
            if number % 5 == 0 {
                fs::write(slug.join(format!("{number}/subagents/agent-{number}.jsonl")), "2\n").unwrap();
            }
        }
        config
    }

    fn real_now() -> Timestamp {
        Timestamp::from_millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64)
    }

    /// Returns a moment by which everything that has happened is settled.
    fn later() -> Timestamp {
        real_now().after(Duration::from_secs(60))
    }

    /// Waits until the clock of the file system has moved on, so that the next change has a time of its own.
    fn next_tick(config: &TempDir) {
        let probe = config.path().join("probe");
        let touched = || {
            fs::write(&probe, "").unwrap();
            let metadata = fs::metadata(&probe).unwrap();
            (metadata.mtime(), metadata.mtime_nsec())
        };
        let before = touched();
        while touched() == before {}
    }

    fn found(search: &Search) -> BTreeSet<String> {
        let Search { sources, states, problems, .. } = search;
        let of_sources: BTreeSet<u64> = sources.iter().map(Source::state).collect();
        assert_eq!(of_sources, states.iter().copied().collect());
        assert_eq!(of_sources.len(), states.len(), "each once");
        let sources = sources.iter().map(|source| format!("{source:?}"));
        sources.chain(problems.iter().map(|problem| format!("{problem:?}"))).collect()
    }

    fn search_of(config: &TempDir, known: &Listings, now: Timestamp) -> Search {
        search_at(&[config.path().to_owned()], known, &|_| false, now)
    }

    /// Searches as if nothing were known and returns what is to be known.
    fn first_look(config: &TempDir, now: Timestamp) -> Listings {
        search_of(config, &Listings::default(), now).listings.expect("twenty conversations are worth keeping")
    }

    fn known_folders(listings: &Listings) -> usize {
        listings.folders.iter().filter(|listed| listed.stamp.is_some()).count()
    }

    #[test]
    fn what_is_known_is_not_listed_again() {
        let config = config();
        let known = first_look(&config, later());
        assert_eq!((known.folders.len(), known_folders(&known)), (45, 45));
        let mut forged = known.clone();
        forged.folders.iter_mut().for_each(|listed| listed.files = FileNames::default());
        let search = search_of(&config, &forged, later());
        assert_eq!(found(&search), BTreeSet::new(), "it is believed");
        assert_eq!(search.listings, None, "nothing was learned");
    }

    #[test]
    fn a_folder_that_has_just_changed_is_not_known() {
        let config = config();
        let listings = search_of(&config, &Listings::default(), real_now()).listings;
        assert_eq!(listings, None, "each may change again within the same tick");
        let known = first_look(&config, later());
        next_tick(&config);
        fs::write(config.path().join("projects/1/new.jsonl"), "").unwrap();
        let search = search_of(&config, &known, real_now());
        assert_eq!(found(&search).len(), 25);
        assert_eq!(search.listings, None, "one folder is not worth writing all");
    }

    #[test]
    fn knowledge_expires_and_is_not_of_the_future() {
        let config = config();
        let now = later();
        let known = first_look(&config, now);
        let mut forged = known.clone();
        forged.folders.iter_mut().for_each(|listed| listed.files = FileNames::default());
        let believed = |now| found(&search_of(&config, &forged, now)).is_empty();
        assert!(believed(now) && believed(now.after(Duration::from_secs(86_399))));
        assert!(!believed(now.after(Duration::from_secs(86_400))));
        assert!(!believed(now.before(Duration::from_millis(1))), "the clock was set back");
        let renewed = search_of(&config, &known, now.after(Duration::from_secs(86_400))).listings.unwrap();
        assert_eq!(renewed.at, now.after(Duration::from_secs(86_400)));
    }

    #[test]
    fn another_tree_with_the_same_names_and_times_is_listed() {
        let config = config();
        let known = first_look(&config, later());
        let slug = config.path().join("projects/1");
        let times = fs::metadata(&slug).unwrap().modified().unwrap();
        fs::remove_file(slug.join("1.jsonl")).unwrap();
        fs::File::open(&slug).unwrap().set_modified(times).unwrap();
        let expected = search_of(&config, &Listings::default(), later());
        assert_eq!(found(&search_of(&config, &known, later())), found(&expected), "nobody can set all times");
    }

    #[test]
    fn other_config_folders_are_not_looked_at() {
        let (config, other) = (config(), config());
        let known = first_look(&config, later());
        let search = search_of(&other, &known, later());
        assert_eq!(found(&search).len(), 24);
        assert!(search.sources.iter().all(|source| source.id.path().starts_with(other.path())));
        let both = [config.path().to_owned(), other.path().to_owned()];
        let search_both = |known| search_at(&both, known, &|_| false, later());
        let listings = search_both(&known).listings.unwrap();
        assert_eq!(known_folders(&listings), 90);
        assert_eq!(search_both(&listings).sources.len(), 48);
    }

    #[test]
    fn a_file_counts_once_wherever_it_is_found() {
        let config = config();
        let dirs = ["", "", "projects", "projects/1"].map(|below| config.path().join(below));
        fs::create_dir_all(config.path().join("projects/1/projects")).unwrap();
        fs::write(config.path().join("projects/1/projects/new.jsonl"), "").unwrap();
        let search = search_at(&dirs, &Listings::default(), &|_| false, later());
        assert_eq!(found(&search).len(), 25);
    }

    #[test]
    fn states_of_no_interest_are_counted_and_passed_over() {
        let config = config();
        let all = search_of(&config, &Listings::default(), later());
        let old: HashSet<u64> = all.states.iter().copied().collect();
        next_tick(&config);
        fs::write(config.path().join("projects/1/1.jsonl"), "more").unwrap();
        let dirs = [config.path().to_owned()];
        let search = search_at(&dirs, &Listings::default(), &|state| old.contains(&state), later());
        assert_eq!(search.states.len(), 24);
        let changed: Vec<_> = search.sources.iter().map(|it| it.id.path().to_owned()).collect();
        assert_eq!(changed, [config.path().join("projects/1/1.jsonl")]);
    }

    #[test]
    fn what_cannot_be_read_is_told_each_time() {
        let config = config();
        let slug = config.path().join("projects/1");
        symlink("1.jsonl", slug.join("link.jsonl")).unwrap();
        let known = first_look(&config, later());
        assert_eq!(known_folders(&known), 44);
        for _ in 0..2 {
            assert_eq!(search_of(&config, &known, later()).problems.len(), 1);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Write(String),
        Grow(String),
        Make(String),
        Remove(String),
        Rename(String, String),
        /// The folder is moved out of the way and its old name leads to it.
        Link(String, String),
        Search,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let folder = || "[0-3](/([0-9]|new)(/subagents(/deep)?)?)?";
        let file = || "[0-3](/([0-9]|new)/subagents(/deep)?)?/(agent-5|[0-9]|journal).jsonl";
        let step = prop_oneof![
            file().prop_map(Step::Write),
            file().prop_map(Step::Grow),
            folder().prop_map(Step::Make),
            prop_oneof![file(), folder()].prop_map(Step::Remove),
            (folder(), folder()).prop_map(|(from, to)| Step::Rename(from, to)),
            (file(), file()).prop_map(|(from, to)| Step::Rename(from, to)),
            (folder(), folder()).prop_map(|(from, to)| Step::Link(from, to)),
            Just(Step::Search),
        ];
        proptest::collection::vec(step, 1..12)
    }

    /// Does a step as far as it can be done: many cannot, because the names are drawn at random.
    fn act(projects: &Path, step: &Step) {
        use std::io::Write;
        let at = |name: &String| projects.join(name);
        let _ = match step {
            Step::Write(file) => fs::write(at(file), "three"),
            Step::Grow(file) => {
                fs::File::options().append(true).open(at(file)).and_then(|mut file| file.write_all(b"more"))
            }
            Step::Make(folder) => fs::create_dir_all(at(folder)),
            Step::Remove(name) => fs::remove_file(at(name)).or_else(|_| fs::remove_dir_all(at(name))),
            Step::Rename(from, to) => fs::rename(at(from), at(to)),
            Step::Link(from, to) => fs::rename(at(from), at(to)).and_then(|()| symlink(at(to), at(from))),
            Step::Search => Ok(()),
        };
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        /// Whatever happens to a tree, what was known of it before changes nothing of what is found.
        #[test]
        fn knowing_changes_nothing(steps in steps()) {
            let config = config();
            let projects = config.path().join("projects");
            let mut known = first_look(&config, later());
            for step in steps.iter().chain([&Step::Search]) {
                if let Step::Search = step {
                    let expected = search_of(&config, &Listings::default(), later());
                    let search = search_of(&config, &known, later());
                    prop_assert_eq!(found(&search), found(&expected));
                    // Sometimes it is worth keeping, sometimes the old knowledge has to do.
                    known = search.listings.unwrap_or(known);
                    next_tick(&config);
                } else {
                    next_tick(&config);
                    act(&projects, step);
                }
            }
        }
    }
}
