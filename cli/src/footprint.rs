//! What a process takes of the machine.

use std::collections::HashMap;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// What a process takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Footprint {
    /// The memory it holds in RAM.
    pub(crate) memory_bytes: u64,
    /// The share of one processor that it took on average since it started, in percent, as `ps` counts it; more than 100
    /// where it has several threads.
    pub(crate) cpu_percent: f64,
}

/// Looks at some processes, once; those that have ended are left out, and where the system does not
/// tell, all are.
pub(crate) fn of(pids: impl Iterator<Item = u32>) -> HashMap<u32, Footprint> {
    let pids: Vec<Pid> = pids.map(Pid::from_u32).collect();
    let wanted = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
    let Ok(mut system) = System::new() else { return HashMap::new() };
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), false, wanted);
    let footprint = |process: &sysinfo::Process| Footprint {
        memory_bytes: process.memory(),
        // A process younger than a second has no age to divide by.
        cpu_percent: process.accumulated_cpu_time() as f64 / 10.0 / process.run_time().max(1) as f64,
    };
    pids.iter().filter_map(|pid| Some((pid.as_u32(), footprint(system.process(*pid)?)))).collect()
}
