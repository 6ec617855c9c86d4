import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// While developing, the page is served by vite and everything else by the FastAPI example.
const backend = "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  server: { proxy: { "/chat": backend, "/conversations": backend, "/sessions": backend } },
});
