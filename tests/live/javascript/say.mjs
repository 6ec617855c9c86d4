// What the programs of this folder share: the servers' URLs by model, and the lines they print.
export const urls = JSON.parse(process.argv[2]);
export const asked = [{ role: "user", content: "Hello" }];
export const parameters = {
  type: "object",
  properties: { city: { type: "string" }, unit: { type: "string" } },
  required: ["city"],
};
export const weather = { name: "get_weather", description: "Weather of a city", parameters };
export const schema = { type: "object", properties: { a: { type: "string" } }, required: ["a"] };

export function say(name, built) {
  console.log(JSON.stringify([name, built]));
}

export async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

// What the SDK throws: every program must say what it makes of an error.
export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    const { name, message, status, status_code, code, type, error: body } = error;
    return { kind: error.constructor.name, name, message, status, status_code, code, type, body };
  }
  throw new Error("no error");
}
