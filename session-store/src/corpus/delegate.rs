//! Work of sub-agents, and where its lines go.

use std::io;
use std::path::{Path, PathBuf};

use super::Counts;
use super::client::Era;
use super::clock::MINUTE_MS;
use super::generate::{Conversation, Generator};
use super::response::{Response, Tool};
use super::scribe::Teller;
use super::transcript::{Says, Transcript, write_file};

/// A sub-agent at work.
struct Agent<'a> {
    teller: Teller,
    home: Home,
    /// Id of the tool call that started it.
    call: &'a str,
}

/// Where the lines of a sub-agent go.
enum Home {
    /// Into the main transcript, as side chain.
    Main,
    /// Into a file of its own.
    File(Transcript),
    /// Nowhere: its file is gone, only echoes in the main transcript are left.
    Gone,
}

impl Generator {
    /// Runs one sub-agent and writes its result, whose `usage` counts nothing.
    pub(super) fn delegate(&mut self, conversation: &mut Conversation, call: &Response) -> io::Result<()> {
        let id = conversation.teller.client.agent_id(&mut self.scribe.rng);
        let folder = agents_folder(conversation);
        let responses = self.scribe.rng.u32(3..28);
        let spent = self.sub_agent(conversation, &id, &folder, &call.tool_id, responses)?;
        let Conversation { teller, main, .. } = conversation;
        main.say(self.scribe.agent_result(teller, call, &id, &spent), Says::Nothing)
    }

    /// Runs a workflow of several sub-agents with its journal, which repeats usage and counts nothing.
    pub(super) fn workflow(&mut self, conversation: &mut Conversation, call: &Response) -> io::Result<()> {
        let id = format!("wf_{:08x}-{:03x}", self.scribe.rng.u32(..), self.scribe.rng.u32(0..4096));
        let folder = agents_folder(conversation).join("workflows").join(&id);
        let mut journal = String::new();
        let mut spent = Counts::default();
        for _ in 0..self.scribe.rng.u32(2..6) {
            let agent = conversation.teller.client.agent_id(&mut self.scribe.rng);
            let responses = self.scribe.rng.u32(2..12);
            let counts = self.sub_agent(conversation, &agent, &folder, &call.tool_id, responses)?;
            journal.push_str(self.scribe.journal_entry(&conversation.teller, &agent, &counts));
            journal.push('\n');
            spent.add(&counts);
        }
        write_file(&folder.join("journal.jsonl"), &journal, conversation.teller.clock)?;
        let Conversation { teller, main, .. } = conversation;
        main.say(self.scribe.agent_result(teller, call, &id, &spent), Says::Nothing)
    }

    /// Runs the sub-agent that sums up a conversation whose context is full.
    pub(super) fn summarize(&mut self, conversation: &mut Conversation) -> io::Result<()> {
        let id = format!("acompact-{:06x}", self.scribe.rng.u32(0..1 << 24));
        let folder = agents_folder(conversation);
        self.sub_agent(conversation, &id, &folder, "", 1).map(drop)
    }

    /// Writes the work of one sub-agent and returns what it spent.
    fn sub_agent(
        &mut self,
        conversation: &mut Conversation,
        id: &str,
        folder: &Path,
        call: &str,
        responses: u32,
    ) -> io::Result<Counts> {
        let (teller, home) = self.hire(conversation, id, folder)?;
        let mut agent = Agent { teller, home, call };
        let mut spent = Counts::default();
        self.scribe.prompt(&mut agent.teller);
        self.say(conversation, &mut agent, Says::Nothing)?;
        self.replay(conversation, &mut agent)?;
        for number in 1..=responses {
            agent.teller.clock += self.scribe.rng.i64(800..9_000);
            let is_last = number == responses || self.is_over(conversation, &agent);
            let tool = (!is_last).then(|| self.scribe.plain_tool());
            let response = self.respond_as(conversation, &mut agent, tool)?;
            spent.add(&response.counts);
            if is_last {
                break;
            }
            self.tool_result(&mut agent.teller, &response);
            self.say(conversation, &mut agent, Says::Nothing)?;
        }
        if let Home::File(transcript) = &mut agent.home {
            self.finish(transcript, &agent.teller)?;
        }
        conversation.teller.clock = agent.teller.clock;
        Ok(spent)
    }

    fn hire(&mut self, conversation: &Conversation, id: &str, folder: &Path) -> io::Result<(Teller, Home)> {
        let parent = &conversation.teller;
        let client = parent.client;
        let rng = &mut self.scribe.rng;
        let home = match client.era {
            Era::Flat | Era::Inline => Home::Main,
            // About one sub-agent in twenty overall has lost its file.
            Era::Echoes if rng.u32(0..7) == 0 => Home::Gone,
            _ => Home::File(Transcript::create(&folder.join(format!("agent-{id}.jsonl")), rng)?),
        };
        let model = if rng.u32(0..3) == 0 { parent.model } else { client.helper };
        let teller = Teller { model, context: rng.u64(6_000..14_000), ..parent.agent(id) };
        if client.era >= Era::Final {
            let path = folder.join(format!("agent-{id}.meta.json"));
            write_file(&path, self.scribe.agent_description(&teller), teller.clock)?;
        }
        Ok((teller, home))
    }

    /// Says whether a sub-agent must end: by the size of all, or by time.
    fn is_over(&self, conversation: &Conversation, agent: &Agent<'_>) -> bool {
        let own = if let Home::File(transcript) = &agent.home { transcript.bytes } else { 0 };
        self.truth.bytes + conversation.main.bytes + own >= self.bytes
            || agent.teller.clock >= self.end_ms - 10 * MINUTE_MS
    }

    fn respond_as(
        &mut self,
        conversation: &mut Conversation,
        agent: &mut Agent<'_>,
        tool: Option<Tool>,
    ) -> io::Result<Response> {
        let mut response = self.scribe.response(&mut agent.teller, tool);
        while self.scribe.next_block(&mut agent.teller, &mut response).is_some() {
            self.say(conversation, agent, Says::Usage)?;
            response.at_ms += self.scribe.pause_ms();
        }
        self.count(conversation, &response);
        Ok(response)
    }

    /// Puts the line just rendered where the sub-agent's lines go, and its echo into the main transcript.
    fn say(&mut self, conversation: &mut Conversation, agent: &mut Agent<'_>, says: Says) -> io::Result<()> {
        let Conversation { teller, main, .. } = conversation;
        match &mut agent.home {
            Home::Main => main.say(&self.scribe.line, says)?,
            Home::File(transcript) => transcript.say(&self.scribe.line, says)?,
            Home::Gone => {}
        }
        let share = match (says, &agent.home) {
            // With its file gone every line must be echoed, or the greatest count would be unknown.
            (Says::Usage, Home::Gone) => 1.0,
            (Says::Usage, _) => 0.8,
            (Says::Nothing, _) => 0.3,
        };
        if teller.client.era == Era::Echoes && self.scribe.rng.f64() < share {
            main.say(self.scribe.echo(teller, &agent.teller, says, agent.call), says)?;
        }
        Ok(())
    }

    /// Repeats the parent's last response in a sub-agent's file under a new request id, as side questions do.
    fn replay(&mut self, conversation: &Conversation, agent: &mut Agent<'_>) -> io::Result<()> {
        let Home::File(transcript) = &mut agent.home else { return Ok(()) };
        let message = &conversation.last_message;
        if message.is_empty() || self.scribe.rng.u32(0..30) != 0 {
            return Ok(());
        }
        transcript.say(self.scribe.replay(&mut agent.teller, message), Says::Usage)
    }
}

fn agents_folder(conversation: &Conversation) -> PathBuf {
    let Conversation { teller, folder, .. } = conversation;
    match teller.client.era {
        Era::Flat | Era::Inline | Era::Siblings => folder.clone(),
        _ => folder.join(&teller.session).join("subagents"),
    }
}
