"""An owner by the unmodified aries-staticagent of PyPI: schema, credential definition, credential. Its one argument is JSON; so is what it prints."""
import asyncio
import json
import sys

from aries_staticagent import Message, StaticConnection, crypto

TOOLBOX = "https://github.com/hyperledger/aries-toolbox/tree/master/docs/"
PICKUP = "https://didcomm.org/messagepickup/2.0/"


async def order(connection, kind, body):
    """Sends a message and fetches its answer from the mailbox, where that does not come back at once."""
    message = Message({"@type": kind, **body})
    await connection.send_async(message)
    while True:
        delivery = await connection.send_and_await_reply_async({"@type": PICKUP + "delivery-request", "limit": 10}, timeout=30)
        for one in delivery.get("~attach", []):
            reply = connection.unpack(json.dumps(one["data"]["json"]).encode())
            received = {"@type": PICKUP + "messages-received", "message_id_list": [one["@id"]]}
            await connection.send_and_await_reply_async(received, timeout=30)
            if reply.thread["thid"] == message.id:
                return dict(reply)
        await asyncio.sleep(0.1)


async def main(given):
    keys = crypto.create_keypair(seed=bytes.fromhex(given["seed"]))
    connection = StaticConnection.from_parts(keys, endpoint=given["my_endpoint"], their_vk=given["my_verkey"])
    # the answer on the same connection, by return route
    ping = await connection.send_and_await_reply_async({"@type": "https://didcomm.org/trust_ping/1.0/ping", "response_requested": True}, timeout=30)
    listed = await connection.send_and_await_reply_async({"@type": TOOLBOX + "admin-schemas/0.1/schema-get-list"}, timeout=30)
    schema = await order(
        connection,
        TOOLBOX + "admin-schemas/0.1/send-schema",
        {"schema_name": "static", "schema_version": "1.0", "attributes": ["number"]},
    )
    definition = await order(
        connection,
        TOOLBOX + "admin-credential-definitions/0.1/send-credential-definition",
        {"schema_id": schema["schema_id"]},
    )
    exchange = await order(
        connection,
        TOOLBOX + "admin-issuer/0.1/send-credential",
        {
            "connection_id": given["connection_id"],
            "cred_def_id": definition["cred_def_id"],
            "credential_proposal": {"attributes": [{"name": "number", "value": "7"}]},
        },
    )
    print(json.dumps({"ping": ping["@type"], "listed": listed["total"], "schema": schema, "definition": definition, "exchange": exchange}))


asyncio.run(main(json.loads(sys.argv[1])))
