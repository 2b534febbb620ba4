"""Real servers of gRPC and of uvicorn hold their answers, bring news to each other, and end at once."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import flowerbed_inside
from environments import environment_python, flower_process_environment
from flowerbed.flower.releases import RELEASES

pytestmark = pytest.mark.timeout(600)  # the first run on a machine installs Flower

PREFACE = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from flowerbed_inside.levers import holding
from flowerbed_inside.levers.news import News
news = News()
waits = threading.Semaphore(0)
real = news.wait
def wait(*arguments):
    try:
        return real(*arguments)
    finally:
        waits.release()
news.wait = wait
holding.serve(holding.Server(news, seconds=3600.0, announce=True))
def held():
    answer = []
    thread = threading.Thread(target=lambda: answer.append(ask(POLL)))
    thread.start()
    assert waits.acquire(timeout=60)
    assert not answer
    return thread, answer
"""

END = """
thread, answer = held()
ask(PUSH)
thread.join(60)
assert answer == [NOTHING], answer
thread, answer = held()
end()
thread.join(60)
assert not thread.is_alive()
print("held")
"""

GRPC = """
from concurrent.futures import ThreadPoolExecutor
import grpc
from flwr.proto import fleet_pb2
POLL, PUSH, NOTHING = "/flwr.proto.ServerAppIo/ListAppsToLaunch", "/flwr.proto.Control/StartRun", b""
class Handlers(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: fleet_pb2.PullMessagesResponse(),
            response_serializer=lambda answer: answer.SerializeToString())
server = grpc.server(ThreadPoolExecutor(max_workers=4), handlers=[Handlers()])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
def ask(path):
    try:
        return channel.unary_unary(path)(b"")
    except grpc.RpcError as error:
        return error.code()
def end():
    server.stop(grace=3600.0).wait(60)
"""

HTTP = """
import http.client, socket, uvicorn
POLL, PUSH, NOTHING = "/v1/runtime/acquire-task", "/v1/control/start-run", b""
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
listens = socket.create_server(("127.0.0.1", 0))
server = uvicorn.Server(uvicorn.Config(app=app, lifespan="off", log_level="error"))
serving = threading.Thread(target=server.run, args=([listens],))
serving.start()
def ask(path):
    connection = http.client.HTTPConnection(*listens.getsockname())
    connection.request("POST", path, b"")
    return connection.getresponse().read()
def end():
    server.should_exit = True
    serving.join(60)
    assert not serving.is_alive()
"""


@pytest.mark.parametrize(
    ("release", "kind"), [(str(RELEASES[0].release), GRPC), (str(RELEASES[-1].release), HTTP)], ids=["grpc", "http"]
)
def test_an_answer_is_held_until_there_is_news_or_the_server_ends(release: str, kind: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [environment_python(release), "-c", PREFACE + kind + END, Path(flowerbed_inside.__file__).parents[1]],
        env=flower_process_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.stdout == "held\n", done.stderr
