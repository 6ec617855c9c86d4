// Shows one answer. What a model says is only ever set as text, never as HTML.

const template = document.querySelector("#answer");

const SAID = {
  complete: "",
  cancelled: "Stopped",
  crashed: "Interrupted: the server was restarted",
  interrupted: "Interrupted: the server was restarted",
  abandoned: "Interrupted",
  truncated: "The answer ended too early",
  error: "The model failed",
};

export class AnswerView {
  #parts = {};
  #tools = new Map();
  #seconds = 0;

  /** onReplay, onAgain: what the buttons do. */
  constructor({ onReplay, onAgain }) {
    this.element = template.content.firstElementChild.cloneNode(true);
    for (const part of this.element.querySelectorAll("[data-part]")) {
      this.#parts[part.dataset.part] = part;
    }
    this.#parts.replay.addEventListener("click", onReplay);
    this.#parts.again.addEventListener("click", onAgain);
    this.clear();
  }

  /** Begin anew: the answer is on its way. */
  clear() {
    const { thinking, reasoning, tools, text } = this.#parts;
    for (const part of [reasoning, tools, text]) part.replaceChildren();
    this.#tools.clear();
    this.#seconds = 0;
    thinking.hidden = true;
    thinking.open = false;
    this.#end("", "waiting");
    this.element.setAttribute("aria-busy", "true");
  }

  /** A chunk of the answer, or the whole answer: both have these fields. */
  add({ text, refusal, reasoning, tool_calls: calls, choice, t }) {
    this.#seconds = t ?? this.#seconds;
    if (choice) return;
    if (reasoning) {
      const { thinking } = this.#parts;
      if (thinking.hidden) thinking.open = !this.#parts.text.textContent;
      thinking.hidden = false;
      append(this.#parts.reasoning, reasoning);
    }
    if (text || refusal) {
      if (!this.#parts.text.textContent) this.#parts.thinking.open = false;
      append(this.#parts.text, (text ?? "") + (refusal ?? ""));
    }
    (calls ?? []).forEach((call, place) => this.#addTool(call.slot ?? call.id ?? place, call));
    this.element.dataset.state = "streaming";
  }

  /** The connection is broken, and will be tried again; or it is back. */
  breaks(broken) {
    this.#parts.status.textContent = broken ? "Connection lost. Reconnecting…" : "";
    this.element.dataset.state = broken ? "broken" : "streaming";
  }

  /** The answer has ended. error: {message} if it failed. */
  finish({ outcome, error, usage, duration = this.#seconds }) {
    const told = error?.code === "interrupted" ? SAID.interrupted : (error?.message ?? SAID[outcome]);
    const facts = [told?.replace(/\.$/, "")];
    if (usage?.output_tokens) facts.push(`${usage.output_tokens} tokens`);
    if (duration >= 0.05) facts.push(`${duration.toFixed(1)} s`);
    this.#end(facts.filter(Boolean).join(" · "), told ? "failed" : "done");
    this.element.dataset.outcome = outcome ?? error?.code ?? "error";
    this.#parts.replay.hidden = false;
    this.#parts.again.hidden = !told;
    this.element.setAttribute("aria-busy", "false");
  }

  #end(status, state) {
    this.#parts.status.textContent = status;
    this.element.dataset.state = state;
    delete this.element.dataset.outcome;
    this.#parts.replay.hidden = this.#parts.again.hidden = true;
  }

  #addTool(key, call) {
    let view = this.#tools.get(key);
    if (!view) {
      view = document.querySelector("#tool").content.firstElementChild.cloneNode(true);
      this.#tools.set(key, view);
      this.#parts.tools.append(view);
    }
    if (call.name) append(view.querySelector("code"), call.name);
    append(view.querySelector("pre"), call.arguments_text ?? call.arguments ?? "");
  }
}

/** Add to an element's one text node. */
function append(element, text) {
  if (!element.firstChild) element.append("");
  element.firstChild.appendData(text);
}
