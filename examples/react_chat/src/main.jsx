import { createRoot } from "react-dom/client";

import { Chat } from "./Chat.jsx";
import "./chat.css";
import { conversation, messagesOf } from "./sessions.js";

// The conversation is named in the address, so a reload opens it again. Its answer may still run.
const session = await conversation();
const messages = await messagesOf(session);

createRoot(document.querySelector("#root")).render(<Chat session={session} messages={messages} />);
