//! Lists every Claude Code of this machine. The config folders are the arguments.

use std::path::PathBuf;

use session_detect::claude;

fn main() {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let found = claude::find(&folders);
    for it in &found.running {
        let session =
            it.session.as_ref().map_or_else(|error| format!("{error:?}"), |session| session.label());
        let status = it.record.as_ref().and_then(|record| record.status.as_ref()).map(claude::Status::name);
        let (id, certainty) = (it.conversation.id().unwrap_or("?"), it.conversation.certainty());
        let (version, entrypoint) =
            (it.version.as_deref().unwrap_or("?"), it.entrypoint.as_deref().unwrap_or("?"));
        println!("{} {version} {entrypoint} {:?} in {session}", it.pid, it.program);
        println!("  {} on {id} ({certainty}), {:?}", status.unwrap_or("?"), it.working_folder);
        if let Some(starter) = &it.started_by {
            println!("  started by {} in {:?} ({:?})", starter.pid, starter.conversation, starter.standing);
        }
    }
    for helper in &found.helpers {
        println!("{} is a helper: {}", helper.pid, helper.kind.name());
    }
    for stale in &found.stale {
        println!("{}: {}", stale.path.display(), stale.why.text());
    }
    for problem in &found.problems {
        println!("cannot {problem}");
    }
}
