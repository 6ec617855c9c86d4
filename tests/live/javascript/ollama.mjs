import { Ollama } from "ollama";
import { all, asked, failure, say, schema, urls, weather } from "./say.mjs";

const client = new Ollama({ host: urls.story });
const options = { seed: 1, temperature: 0 };
const tools = [{ type: "function", function: weather }];
for (const model of ["story", "think", "tool"]) {
  const body = { model, messages: asked, options, ...(model === "tool" && { tools }) };
  say(`${model} whole`, await client.chat(body));
  say(`${model} events`, await all(await client.chat({ ...body, stream: true })));
}
const short = { model: "tiny", messages: asked, format: schema };
short.options = { ...options, num_predict: 20 };
say("schema whole", await client.chat(short));
say("schema events", await all(await client.chat({ ...short, stream: true })));
say("generate", await client.generate({ model: "story", prompt: "x" }));
say("generate events", await all(await client.generate({ model: "story", prompt: "x", stream: true })));
say("models", (await client.list()).models.map((each) => each.model).sort());
say("show", (await client.show({ model: "story" })).model_info);
const wrong = { model: "missing", messages: asked };
say("error", await failure(client.chat(wrong)));
say("error streamed", await failure(client.chat({ ...wrong, stream: true })));
