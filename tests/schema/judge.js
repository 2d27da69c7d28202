// Judges documents by a schema: reads {schema, documents: [{name, value}]}, prints the faults found in each as one JSON
// object. Strict: what a schema says in vain is an error of its own.
import Ajv from "ajv/dist/2020.js";
import { readFileSync } from "node:fs";

const { schema, documents } = JSON.parse(readFileSync(0, "utf8"));
const validate = new Ajv({ strict: true, strictTypes: false, strictRequired: false, allowUnionTypes: true, allErrors: true }).compile(schema);
const faults = {};
for (const { name, value } of documents) {
  faults[name] = validate(value) ? [] : validate.errors.map(({ instancePath, message }) => `${instancePath} ${message}`);
}
console.log(JSON.stringify(faults));
