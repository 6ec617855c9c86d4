// What the page asks of the backend beside the answers.

/** The conversation in the address; a new one if there is none. */
export async function conversation() {
  if (!location.hash) {
    const response = await fetch("/conversations", { method: "POST" });
    location.hash = (await response.json()).session;
  }
  return location.hash.slice(1);
}

/** What was said in a conversation, as messages of the AI SDK. */
export async function messagesOf(session) {
  const response = await fetch(`/sessions/${session}/calls`);
  const calls = response.ok ? await response.json() : []; // 404: nothing was asked yet
  return calls.flatMap((call, place) => {
    const text = call.question.map(({ content }) => content).join("\n\n");
    const question = { id: `${call.call}-question`, role: "user", parts: [{ type: "text", text }] };
    // An answer without an end may still run: useChat resumes it.
    const last = place === calls.length - 1;
    if (last && call.outcome === "interrupted") return [question];
    const parts = [];
    if (call.answer.reasoning) parts.push({ type: "reasoning", text: call.answer.reasoning });
    if (call.answer.text) parts.push({ type: "text", text: call.answer.text });
    return [question, { id: `${call.call}-answer`, role: "assistant", parts }];
  });
}

export function stop(session) {
  return fetch(`/sessions/${session}/stop`, { method: "POST" });
}
