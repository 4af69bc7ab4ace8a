#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod id;
mod time;
mod zone;

mod usage;

mod event;
mod join;

mod ledger;

mod cell;

#[cfg(feature = "sqlite")]
mod packed;

mod board;

mod error;

#[cfg(feature = "transcript")]
pub mod transcript;

#[cfg(feature = "transcript")]
mod checkpoint;

#[cfg(feature = "transcript")]
mod backend;

#[cfg(feature = "sqlite")]
pub mod exchange;
#[cfg(feature = "sqlite")]
#[cfg(feature = "sqlite")]
mod store;
#[cfg(feature = "sqlite")]
mod stores;

#[cfg(feature = "sqlite")]
mod retention;

#[cfg(feature = "corpus")]
pub mod corpus;

#[cfg(feature = "proptest")]
pub mod strategies;

#[cfg(feature = "transcript")]
pub use backend::memory::Memory;
#[cfg(feature = "sqlite")]
pub use backend::sqlite::board::SqliteBoard;
#[cfg(feature = "sqlite")]
pub use backend::sqlite::{OpenMode, Sqlite};
#[cfg(feature = "transcript")]
pub use backend::{Batch, EventBackend, Selection};
pub use board::memory::MemoryBoard;
pub use board::{
    BoardBackend, BoardLeader, BoardLine, BoardLook, BoardMember, BoardNotice, BoardSample, Figures,
    Generation, NOTICES_KEPT, NoticeSource, Posted,
};
pub use cell::{CELL_WIDTH, Cell, CellKey, CellSum, PriceClass, PromptBand, fold_cells, together};
#[cfg(feature = "transcript")]
pub use checkpoint::{Checkpoint, Checkpoints};
pub use error::{Error, ErrorKind};
pub use event::{
    Compaction, Conversation, CostState, Deed, Event, Fact, Failure, LimitCause, LimitHit, LimitSample,
    LimitWindow, ModelCost, Owner, Ownership, Reset, Restraint, Role, Setting, Tariff, Turn, Why,
};
pub use id::{AgentId, ConversationId, EventId, ModelId, SourceId};
pub use join::{Change, Join};
pub use ledger::Ledger;
#[cfg(feature = "sqlite")]
pub use retention::{Expired, Leftover, LeftoverKind, PrunePlan, Pruned, SessionSurvey, Survey};
#[cfg(feature = "sqlite")]
pub use store::Store;
#[cfg(feature = "sqlite")]
pub use stores::{Part, Stores, Summaries};
pub use time::Timestamp;
#[cfg(feature = "transcript")]
pub use transcript::{
    FileNames, Folder, FolderStamp, Found, Glimpse, LINE_BYTES_MAX, Listed, Listing, Listings, Located,
    Position, ProblemKind, Reading, Source, SourceKind, Stamp, Tail, locate,
};
pub use usage::Usage;
pub use zone::{ClockTime, Date, Zone};
