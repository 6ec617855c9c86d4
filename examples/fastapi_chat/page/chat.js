// The page: conversations on the left, one of them open. Its name is in the address, after the #.

import { AnswerView } from "./answer.js";
import { answerEvents, request, Refused } from "./events.js";

const $ = (selector) => document.querySelector(selector);
const log = $("#log"), form = $("#composer"), input = $("#message"), notice = $("#notice");
const others = new BroadcastChannel("chat"); // the other tabs of this browser

let session = null; // the open conversation; null: a new one
let reading = null; // while an answer is read: its AbortController
let replaying = false; // whether that is an old one
let doubtful = null; // a question that may not have arrived

const json = { "content-type": "application/json" };
const get = async (url, options) => (await request(url, { cache: "no-store", ...options })).json();

// Reading answers

/** Show the events of an answer in `view` until it ends, or until another one is read. */
async function show(view, call, open, { replay = false } = {}) {
  reading?.abort();
  const { signal } = (reading = new AbortController());
  replaying = replay;
  setBusy(true);
  view.clear();
  try {
    const answer = answerEvents({
      open: () => open(signal),
      resumeUrl: `sessions/${session}${replay ? "?speed=1" : ""}`,
      signal,
      onBreak: (broken) => view.breaks(broken),
    });
    for await (const events of answer) {
      if (signal.aborted) return;
      call.number = events.at(-1).data.call ?? call.number;
      keepAtTheEnd(() => {
        for (const { name, data } of events) {
          if (name === "chunk") view.add(data);
          else view.finish(name === "end" ? data : { error: data });
        }
      });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    if (reading?.signal === signal) {
      reading = null;
      setBusy(false);
    }
  }
}

/** The answer to a question, which may have been given, be running or not be asked yet. */
function addAnswer(question, number = null) {
  const call = { number };
  const recorded = (speed) => (signal) =>
    request(`sessions/${session}?call=${call.number}&after=-1&speed=${speed}`, { signal });
  const view = new AnswerView({
    onReplay: () => reading || show(view, call, recorded(1), { replay: true }).catch(complain),
    onAgain: () => reading || ask(question).catch(complain),
  });
  const item = document.createElement("p");
  item.className = "question";
  item.textContent = question;
  log.append(item, view.element);
  return { view, call, resume: () => show(view, call, recorded("max")) };
}

async function ask(message) {
  say("");
  if (session === null) {
    const named = await get("conversations", { method: "POST" });
    session = named.session;
    history.pushState(null, "", `#${session}`);
  }
  const { view, call } = addAnswer(message);
  scrollTo(0, document.body.scrollHeight);
  const asked = session;
  try {
    await show(view, call, async (signal) => {
      const body = JSON.stringify({ message, session });
      const sent = request("chat", { method: "POST", headers: json, body, signal });
      const response = await sent;
      others.postMessage(session);
      refreshList();
      return response;
    });
  } catch (error) {
    if (error instanceof Refused) view.finish({ error });
    else {
      view.finish({ error: { message: "The connection failed." } });
      doubtful = message;
      if (asked === session) await open(session); // does the server have the question?
    }
  }
  refreshList();
}

// Conversations

/** Show a conversation. An answer of it that is still running goes on. */
async function open(name) {
  reading?.abort();
  session = name;
  const calls = name === null ? [] : await get(`sessions/${name}/calls`).catch(missingIsEmpty);
  if (session !== name) return; // another one was opened meanwhile
  log.replaceChildren();
  say("");
  $("#welcome").hidden = calls.length > 0;
  let running = null;
  for (const call of calls) {
    const question = call.question.map(textOf).join("\n\n");
    const answer = addAnswer(question, call.call);
    if (call.outcome === "interrupted" && call === calls.at(-1)) {
      running = answer; // or its writer died: that is what the server tells then
    } else {
      answer.view.add(call.answer);
      answer.view.finish(call);
    }
  }
  if (doubtful !== null && log.querySelector("p:last-of-type")?.textContent !== doubtful) {
    input.value ||= doubtful;
  }
  doubtful = null;
  markOpen();
  scrollTo(0, document.body.scrollHeight);
  if (!running) return;
  await running.resume();
  refreshList();
}

function missingIsEmpty(error) {
  if (error.status === 404) return []; // its first question is not asked yet
  throw error;
}

function textOf({ content }) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? `[${part.type}]`).join("");
}

async function refreshList() {
  const sessions = await get("sessions/").catch(() => null);
  if (sessions === null) return; // the list stays as it is
  const items = sessions.map(({ session: name, title, running }) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `#${name}`;
    link.textContent = title ?? name;
    link.classList.toggle("running", running === true);
    item.append(link);
    return item;
  });
  $("#conversations").replaceChildren(...items);
  markOpen();
}

function markOpen() {
  for (const link of document.querySelectorAll("#conversations a")) {
    if (link.hash === `#${session}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// The page

function setBusy(busy) {
  document.body.classList.toggle("busy", busy);
  $("#stop").hidden = !busy;
  $("#send").hidden = busy;
  $("#welcome").hidden ||= busy;
}

function say(text) {
  notice.textContent = text;
}

function complain(error) {
  say(error instanceof Refused ? error.message : "The server cannot be reached.");
}

/** Change the page; if its end was in view, it stays so. */
function keepAtTheEnd(change) {
  const page = document.documentElement;
  const atTheEnd = page.scrollHeight - page.clientHeight - page.scrollTop < 80;
  change();
  if (atTheEnd) page.scrollTop = page.scrollHeight;
}

function fit() {
  input.style.height = "auto";
  input.style.height = `${Math.min(input.scrollHeight + 2, 200)}px`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const message = input.value.trim();
  if (!message || reading) return;
  input.value = "";
  fit();
  ask(message).catch(complain);
});

input.addEventListener("input", fit);
input.addEventListener("keydown", (event) => {
  const enters = event.key === "Enter" && !event.shiftKey && !event.isComposing;
  if (enters && !matchMedia("(pointer: coarse)").matches) {
    event.preventDefault();
    form.requestSubmit();
  }
});

$("#stop").addEventListener("click", () => {
  if (replaying) openAddressed();
  else request(`sessions/${session}/stop`, { method: "POST" }).catch(complain);
});

$("#menu").addEventListener("click", () => toggleMenu());
$("#conversations").addEventListener("click", () => toggleMenu(false));
$("#new").addEventListener("click", () => {
  toggleMenu(false);
  history.pushState(null, "", location.pathname);
  open(null).catch(complain);
  input.focus();
});

function toggleMenu(opened = !$("nav").classList.contains("open")) {
  $("nav").classList.toggle("open", opened);
  $("#menu").setAttribute("aria-expanded", String(opened));
}

const openAddressed = () => open(location.hash.slice(1) || null).catch(complain);
addEventListener("popstate", openAddressed);
addEventListener("online", () => notice.textContent && !reading && openAddressed());
document.addEventListener("visibilitychange", () => document.hidden || refreshList());
others.addEventListener("message", ({ data }) => {
  refreshList();
  if (data === session && !reading) openAddressed();
});

refreshList();
openAddressed();
