// A TCP proxy before the node, whose connections can be cut.
import { connect, createServer } from "node:net";
import { once } from "node:events";

/** Listens on a port of its own: `{ url, cut, close }` for WebSocket. `cut` resets all connections and returns how many. */
export async function startProxy(target) {
    const { hostname, port } = new URL(target);
    const sockets = new Set();
    const server = createServer((client) => {
        const upstream = connect({ host: hostname, port: Number(port) });
        sockets.add(client);
        const end = () => {
            sockets.delete(client);
            client.destroy();
            upstream.destroy();
        };
        for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
        client.pipe(upstream).pipe(client);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const cut = () => {
        const open = [...sockets];
        open.forEach((socket) => socket.resetAndDestroy());
        return open.length;
    };
    const close = () => {
        cut();
        server.close();
    };
    return { url: `ws://127.0.0.1:${server.address().port}`, cut, close };
}
