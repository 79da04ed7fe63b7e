// Runs Foundry's programs, as npm packages them.
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { promisify } from "node:util";

const require = createRequire(import.meta.url);

/** Runs one of Foundry's programs and returns its stdout; throws with its stderr where it fails. */
export async function foundry(program, args, options = {}) {
    const bin = require.resolve(`@foundry-rs/${program}/bin.mjs`);
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [bin, ...args], options);
    // The package's launcher does not pass the exit status on.
    if (/^Error/m.test(stderr)) throw new Error(`${program} ${args[0]}: ${stderr}\n${stdout}`);
    return stdout.trim();
}

/** Why the tests of this program are skipped, or false: the packages have binaries for common platforms only. */
export async function cannotRun(program) {
    try {
        await foundry(program, ["--version"]);
        return false;
    } catch (error) {
        if (!/not supported|ENOENT|Cannot find/i.test(error.message)) throw error;
        return `skipped: ${error.message}`;
    }
}
