import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { useEffect, useState } from "react";

import { messagesOf, stop } from "./sessions.js";

const transport = new DefaultChatTransport({
  prepareSendMessagesRequest: ({ id, messages }) => ({
    api: "/chat?protocol=ai-sdk",
    // The backend knows what was said before: it only needs the question.
    body: { session: id, message: messages.at(-1).parts.map((part) => part.text).join("") },
  }),
  prepareReconnectToStreamRequest: ({ id }) => ({ api: `/sessions/${id}?protocol=ai-sdk` }),
});

export function Chat({ session, messages: said }) {
  const [input, setInput] = useState("");
  const chat = useChat({ id: session, messages: said, resume: true, transport });
  const { messages, sendMessage, status, error } = chat;
  const running = status === "submitted" || status === "streaming";
  const offline = useOffline({
    onLeave: chat.stop, // reading only: the backend goes on. Else a dead connection is read for ever.
    onReturn: async () => {
      chat.setMessages(await messagesOf(session));
      await chat.resumeStream();
    },
  });
  useEffect(() => {
    if (status !== "ready" || messages.at(-1)?.role !== "user") return;
    // The answer ended after the messages were loaded and before it was resumed: load it whole.
    messagesOf(session).then(
      (whole) => chat.setMessages((shown) => (shown.length < whole.length ? whole : shown)),
      () => {}, // offline again
    );
  }, [status]);

  function send(event) {
    event.preventDefault();
    if (!input.trim() || running) return;
    sendMessage({ text: input });
    setInput("");
  }

  return (
    <main>
      <h1>Chat</h1>
      <div role="log" aria-label="Conversation" aria-busy={running}>
        {messages.map((message) => (
          <article key={message.id} className={message.role}>
            {message.parts.map((part, place) => (
              <Part key={place} part={part} />
            ))}
          </article>
        ))}
      </div>
      <p role="status">{offline ? "Offline." : error ? "The answer failed." : running ? "…" : ""}</p>
      <form onSubmit={send}>
        <input
          aria-label="Message"
          placeholder="Message"
          value={input}
          onChange={(event) => setInput(event.target.value)}
        />
        {running ? (
          // Leaving does not stop an answer, so `stop` of useChat would not: ask the backend.
          <button type="button" onClick={() => stop(session)}>Stop</button>
        ) : (
          <button>Send</button>
        )}
      </form>
    </main>
  );
}

/** Whether the browser has no network, and what is done when it loses it and has it again. */
function useOffline({ onLeave, onReturn }) {
  const [offline, setOffline] = useState(false);
  useEffect(() => {
    const leave = () => (setOffline(true), onLeave());
    const come = () => (setOffline(false), onReturn());
    addEventListener("offline", leave);
    addEventListener("online", come);
    return () => {
      removeEventListener("offline", leave);
      removeEventListener("online", come);
    };
  });
  return offline;
}

function Part({ part }) {
  if (part.type === "text") return <p className="text">{part.text}</p>;
  if (part.type === "reasoning") {
    return (
      <details>
        <summary>Thinking</summary>
        <p>{part.text}</p>
      </details>
    );
  }
  if (part.type.startsWith("tool-")) {
    return (
      <details>
        <summary>Tool call: {part.type.slice(5)}</summary>
        <pre>{JSON.stringify(part.input)}</pre>
      </details>
    );
  }
  return null;
}
