// Reads the events of an answer. If the connection breaks, it asks for what follows the last event.

/** The server's answer to a request that it did not accept. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** fetch, which throws Refused for an error status. A network failure is a TypeError. */
export async function request(url, options) {
  const response = await fetch(url, options);
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Refused(response.status, body.error?.message ?? `The server refused (${response.status}).`);
}

// The server sends a heartbeat after 15 seconds of silence: after so many milliseconds without one
// the connection is gone, even if nothing has told the browser so.
const SILENCE = 40_000;

/** The next piece. Throws TypeError, as fetch does, if the browser goes offline meanwhile. */
async function read(reader) {
  const over = new AbortController();
  const lost = new Promise((_, reject) => {
    const lose = () => reject(new TypeError("the connection is lost"));
    const timer = setTimeout(lose, SILENCE);
    addEventListener("offline", lose, { signal: over.signal });
    over.signal.addEventListener("abort", () => clearTimeout(timer));
  });
  try {
    return await Promise.race([reader.read(), lost]);
  } finally {
    over.abort();
  }
}

/** The server-sent events of a response, as {id, name, data}: those that came together as a list. */
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    for (let piece; !(piece = await read(reader)).done; ) {
      const blocks = (buffer + piece.value).split("\n\n");
      buffer = blocks.pop();
      const events = blocks.map(eventOf).filter((event) => event.data);
      if (events.length) yield events;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function eventOf(block) {
  const field = (name) =>
    block.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  const data = field("data"); // none: a comment
  return { id: field("id"), name: field("event"), data: data && JSON.parse(data) };
}

/** Wait until the browser is online again, or for so many milliseconds. */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const done = new AbortController();
    const stop = () => (clearTimeout(timer), done.abort(), resolve());
    const timer = setTimeout(stop, milliseconds);
    addEventListener("online", stop, { signal: done.signal });
    signal.addEventListener("abort", stop, { signal: done.signal });
  });
}

/**
 * The events of an answer up to `end` or `error`, each once, however often the connection breaks.
 * Those that came together are one list: to show each by itself would take minutes when the page is
 * reloaded in the middle of a long answer.
 *
 * open: sends the first request. resumeUrl: gives what follows the event in Last-Event-ID. onBreak
 * is called with true when the connection breaks, and with false when it is back. Throws if it
 * breaks before the first event: then only the server knows whether the request arrived.
 */
export async function* answerEvents({ open, resumeUrl, signal, onBreak }) {
  let response = await open();
  let last = null;
  for (let failures = 0; response.status !== 204; ) {
    try {
      for await (const events of eventsOf(response)) {
        failures = 0;
        last = events.findLast(({ id }) => id)?.id ?? last;
        yield events;
        if (["end", "error"].includes(events.at(-1).name)) return;
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // TypeError: the network failed
    }
    if (last === null) throw new TypeError("the connection broke before the first event");
    onBreak(true);
    for (response = null; response === null; ) {
      await pause(failures && Math.min(250 * 2 ** failures, 10_000), signal);
      signal.throwIfAborted();
      failures += 1;
      try {
        response = await request(resumeUrl, { headers: { "Last-Event-ID": last }, signal });
      } catch (error) {
        const passing = error instanceof TypeError || error.status >= 500;
        if (!passing) throw error;
      }
    }
    onBreak(false);
  }
}
