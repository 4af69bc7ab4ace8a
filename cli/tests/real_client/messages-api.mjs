// A scripted Messages API on loopback, so that the real Claude Code client can be run without an account or a network.
//
//     node messages-api.mjs FOLDER
//
// It prints the port that it listens on. FOLDER/script.json steers it and is read anew for every request, so that a
// test can change it at any time. All keys may be left out:
//
//     usage     counters of the replies, by the names in told.jsonl; what is left out grows from reply to reply, so
//               that a message missed and another one counted twice never cancel out
//     speed     written into the usage as it is, likewise `geo` (`inference_geo` in the API)
//     model     the model that a reply says it comes from; the one asked for by default
//     delay_ms  how long each request waits for its reply
//     limit     {"claim": "five_hour" | "seven_day" | …, "reset_in_seconds": 3600}: every request is refused
//     spent     the same for the requests that ask for it; false has them answered
//     five_hour {"share": 0.3, "reset_in_seconds": 3600}: what the other replies say of the five hours
//
// `[[bash: COMMAND]]` in a prompt has the model call the Bash tool, `[[agent]]` start a sub-agent; several of them are done
// one after the other. `[[limit]]` has the request refused as `limit` does.
//
// FOLDER/told.jsonl is the truth that a test compares with: a line for each reply, written before the reply's last
// byte is sent, so that it is there once the client has gone. Its `kind` says what becomes of the reply, as seen with
// 2.1.330; the last three come from terminals only, and never with CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC:
//
//     turn        in the transcript, and in the client's own sum of costs
//     compaction  in the client's sum, but in no transcript
//     title       the same, for the name of the conversation
//     check       in neither: auto mode asks whether a tool call is safe
//     probe       in neither: the client asks for the state of the limits when it starts

import { randomBytes } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const folder = process.argv[2];
let replies = 0;

const server = createServer((incoming, response) => {
  answer(incoming, response).catch((error) => {
    console.error(error);
    if (response.headersSent) response.destroy();
    else sendJson(response, 500, {});
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));

async function answer(incoming, response) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const path = incoming.url.split("?")[0];
  if (incoming.method !== "POST" || !path.startsWith("/v1/messages")) return sendJson(response, 404, {});
  // The size of a prompt is no reply of a model and costs nothing.
  if (path.endsWith("/count_tokens")) return sendJson(response, 200, { input_tokens: 100 });
  const request = JSON.parse(Buffer.concat(chunks).toString());
  return answerMessage(request, incoming.headers, response);
}

async function answerMessage(request, requestHeaders, response) {
  const script = readScript();
  await new Promise((done) => setTimeout(done, script.delay_ms ?? 0));
  // A client that hung up while it waited was told nothing.
  if (response.destroyed) return;

  const asked = script.spent !== false && newestPrompt(request).includes("[[limit]]");
  const spent = script.limit ?? (asked ? script.spent ?? {} : undefined);
  const limit = spent && { claim: "five_hour", reset_in_seconds: 3600, ...spent };
  const told = {
    message_id: limit ? null : randomId("msg"),
    conversation: requestHeaders["x-claude-code-session-id"] ?? null,
    kind: kindOf(request),
    model: script.model ?? request.model,
    usage: limit ? null : countersOf(script),
    stream: request.stream === true,
    limit: limit !== undefined,
  };
  const writeTold = () => appendFileSync(join(folder, "told.jsonl"), `${JSON.stringify(told)}\n`);
  const headers = { "request-id": randomId("req"), ...limitHeaders(limit, script) };
  if (limit) {
    told.window = limit.claim;
    told.resets_at = new Date(headers["anthropic-ratelimit-unified-reset"] * 1000).toISOString();
    writeTold();
    const error = { type: "rate_limit_error", message: "The usage limit is spent." };
    return sendJson(response, 429, { type: "error", error }, headers);
  }

  const content = contentFor(request, told.kind);
  const message = {
    id: told.message_id,
    type: "message",
    role: "assistant",
    model: told.model,
    content,
    stop_reason: content.some((block) => block.type === "tool_use") ? "tool_use" : "end_turn",
    stop_sequence: null,
    usage: usageOf(told.usage, script),
  };
  if (told.stream) return sendStream(response, message, headers, writeTold);
  writeTold();
  return sendJson(response, 200, message, headers);
}

function readScript() {
  try {
    return JSON.parse(readFileSync(join(folder, "script.json"), "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return {};
    throw error;
  }
}

/** What a request is for. Only its shape tells: all kinds go to the same address with the same headers. */
function kindOf(request) {
  if (request.max_tokens === 1) return "probe";
  if (request.output_config?.format) return "title";
  if (!request.tools?.length) return "check";
  return newestPrompt(request).includes("<analysis>") ? "compaction" : "turn";
}

/** The text that ends the conversation so far; empty where that is a tool's result. */
function newestPrompt(request) {
  const newest = (request.messages ?? []).findLast((message) => message.role === "user");
  const last = Array.isArray(newest?.content) ? newest.content.at(-1)?.text : newest?.content;
  return last ?? "";
}

/** The prompt that is being worked on, and how many calls of tools were answered since. */
function spokenPrompt(request) {
  let calls = 0;
  for (const message of (request.messages ?? []).toReversed()) {
    if (message.role !== "user") continue;
    const content = Array.isArray(message.content) ? message.content : [{ type: "text", text: message.content }];
    const results = content.filter((block) => block.type === "tool_result").length;
    const text = content.filter((block) => block.type === "text").map((block) => block.text).join("\n");
    if (!results && text.includes("[[")) return { text, calls };
    calls += results;
  }
  return { text: newestPrompt(request), calls };
}

function contentFor(request, kind) {
  const text = (words) => ({ type: "text", text: words });
  if (kind === "compaction") return [text("<summary>They greeted each other.</summary>")];
  const call = callFor(request);
  if (!call) return [text("Here you are.")];
  // Two blocks, because the client writes a line for each block and repeats the message's usage in every one.
  return [text("One moment."), { type: "tool_use", id: randomId("toolu"), ...call }];
}

function callFor(request) {
  const offered = (request.tools ?? []).map((tool) => tool.name);
  const { text, calls } = spokenPrompt(request);
  const step = [...text.matchAll(/\[\[(agent|bash: .+?)\]\](?!\])/g)][calls]?.[1];
  if (step?.startsWith("bash: ") && offered.includes("Bash")) {
    return { name: "Bash", input: { command: step.slice(6), description: "As asked" } };
  }
  // Older clients call the same tool Task.
  const agent = ["Agent", "Task"].find((name) => offered.includes(name));
  if (!agent || step !== "agent") return undefined;
  const input = { description: "Greet", prompt: "Greet the user.", subagent_type: "general-purpose" };
  return { name: agent, input };
}

/** Counters of the size of a real conversation, so that costs come to dollars and a wrong price shows. */
function countersOf(script) {
  const n = ++replies;
  const grown = {
    input: 2000 + 17 * n,
    output: 9000 + 113 * n,
    cache_write_5m: 7000 + 71 * n,
    cache_write_1h: 5000 + 37 * n,
    cache_read: 40_000 + 1009 * n,
    web_search: 0,
  };
  return { ...grown, ...script.usage };
}

function usageOf(counters, script) {
  const usage = {
    input_tokens: counters.input,
    output_tokens: counters.output,
    cache_creation_input_tokens: counters.cache_write_5m + counters.cache_write_1h,
    cache_read_input_tokens: counters.cache_read,
    cache_creation: {
      ephemeral_5m_input_tokens: counters.cache_write_5m,
      ephemeral_1h_input_tokens: counters.cache_write_1h,
    },
    server_tool_use: { web_search_requests: counters.web_search, web_fetch_requests: 0 },
    service_tier: "standard",
  };
  if (script.speed) usage.speed = script.speed;
  if (script.geo) usage.inference_geo = script.geo;
  return usage;
}

/** What the API says of the account's limits with every reply; `limit` is the one that is spent. */
function limitHeaders(limit, script) {
  const now = Math.floor(Date.now() / 1000);
  const fiveHour = { share: 0.3, reset_in_seconds: 3600, ...script.five_hour };
  const windows = {
    "5h": { spent: limit?.claim === "five_hour", share: fiveHour.share, reset: now + fiveHour.reset_in_seconds },
    "7d": { spent: limit !== undefined && limit.claim !== "five_hour", share: 0.2, reset: now + 200_000 },
  };
  const headers = {};
  const set = (name, value) => (headers[`anthropic-ratelimit-unified-${name}`] = String(value));
  set("status", limit ? "rejected" : "allowed");
  set("representative-claim", limit?.claim ?? "five_hour");
  set("reset", limit ? now + limit.reset_in_seconds : windows["5h"].reset);
  for (const [name, window] of Object.entries(windows)) {
    set(`${name}-status`, window.spent ? "rejected" : "allowed");
    set(`${name}-utilization`, window.spent ? 1 : window.share);
    set(`${name}-reset`, window.spent ? now + limit.reset_in_seconds : window.reset);
  }
  if (limit) {
    set("overage-status", "rejected");
    // Without this the client would try again for minutes before it tells of the limit.
    headers["x-should-retry"] = "false";
  }
  return headers;
}

/** A reply in parts, as the API streams it: the first has a placeholder for the output, only the last the true sum. */
function sendStream(response, message, headers, beforeLast) {
  const send = (type, data) => response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  response.writeHead(200, { "content-type": "text/event-stream", ...headers });
  const usage = { ...message.usage, output_tokens: 1 };
  send("message_start", { message: { ...message, content: [], stop_reason: null, usage } });
  message.content.forEach((block, index) => {
    const isText = block.type === "text";
    send("content_block_start", { index, content_block: { ...block, ...(isText ? { text: "" } : { input: {} }) } });
    const delta = isText
      ? { type: "text_delta", text: block.text }
      : { type: "input_json_delta", partial_json: JSON.stringify(block.input) };
    send("content_block_delta", { index, delta });
    send("content_block_stop", { index });
  });
  const { stop_reason, stop_sequence } = message;
  send("message_delta", { delta: { stop_reason, stop_sequence }, usage: message.usage });
  beforeLast();
  send("message_stop", {});
  response.end();
}

function sendJson(response, status, body, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

function randomId(prefix) {
  return `${prefix}_${randomBytes(12).toString("hex")}`;
}
