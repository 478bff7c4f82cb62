// Calls tenants with SuperOffice's own client, as its standard input says: lines of a verb and a
// tenant. Each is answered with a line of JSON. The gateway's URL is the only argument.
"use strict";

const readline = require("node:readline");
const { ContactRestApi } = require("@superoffice/webapi");
const { webApi, whenOpen } = require("./documented.js");

const gateway = process.argv[2];
const clients = new Map();

/** The client of a tenant, which is made once. */
function client(tenant) {
  if (!clients.has(tenant)) clients.set(tenant, webApi(gateway, tenant, `token-of-${tenant}`));
  return clients.get(tenant);
}

/** Gets a contact, and with it what the client saw of the response. */
async function contact(tenant) {
  let response;
  const options = { responseCallback: (seen) => (response = seen) };
  const contact = await client(tenant).getContactAgent().getContactEntityAsync(5, options);
  const authorization = response.config.headers.Authorization;
  return { contactId: contact.contactId, name: contact.name, raw: response.data, authorization };
}

const verbs = {
  contact,
  rest: async (tenant) => {
    let response;
    const options = { responseCallback: (seen) => (response = seen) };
    const { name } = await new ContactRestApi(`${gateway}/${tenant}`).getByIdAsync(5, options);
    return { name, raw: response.data };
  },
  whenOpen: (tenant) => whenOpen(gateway, tenant, () => contact(tenant)),
  state: async (tenant) => (await fetch(`${gateway}/api/state/${tenant}`)).json(),
};

async function answer(line) {
  const [verb, tenant] = line.split(" ");
  try {
    return { result: await verbs[verb](tenant) };
  } catch (error) {
    const { status, headers, data } = error.response ?? {};
    const retryAfter = headers?.["retry-after"];
    return { error: { name: error.name, message: error.message, status, retryAfter, data } };
  }
}

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  console.log(JSON.stringify(await answer(line)));
});
