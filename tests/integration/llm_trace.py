"""What the guest's trace tells of the LLM service, read by a machine's tests."""

import collections
import threading

import protocol

#: llm::StopReason, as docs/observation.md has it.
STOPS = ("none", "end", "length", "stop-word", "budget", "deadline", "cancelled", "failed", "refused")


class Request:
    """A request as the trace has it."""

    def __init__(self):
        self.submitted = self.end = None  #: the events
        self.due_ns = None                #: its deadline, if it has one
        self.jobs, self.tokens = [], []   #: of its steps; when each token came

    @property
    def stop(self):
        return None if self.end is None else STOPS[self.end["stop"]]


def requests_of(events):
    """The requests of some events, by their number. Each begins once, ends once, and counts its tokens from 1."""
    found = collections.defaultdict(Request)
    for event in events:
        if not event["event"].startswith("llm-"):
            continue
        request = found[event["request"]]
        assert request.end is None, f"{event} behind {request.end}"
        if event["event"] == "llm-submit":
            assert request.submitted is None and not request.jobs, event
            request.submitted = event
        elif event["event"] == "llm-due":
            assert request.submitted is not None and request.due_ns is None and not request.jobs, event
            request.due_ns = event["due_ns"]
        elif event["event"] == "llm-step":
            request.jobs.append(event["job"])
        elif event["event"] == "llm-token":
            request.tokens.append(event["at_ns"])
            assert event["tokens"] == len(request.tokens), event
        else:
            request.end = event
            assert event["tokens"] == len(request.tokens), event
    return dict(found)


class Follower:
    """`watch trace` of a machine from now on. Frames are only kept while it runs: the guest does not wait for a reader."""

    INTERVAL_MS = 10

    def __init__(self, machine):
        self.connection, self.control = machine.session(), machine.session()
        self.frames, self.error = [], None
        self.ask("trace", action="clear")
        self.ask("trace", action="on")
        self.connection.send(protocol.request(protocol.CALL, 1, {"op": "watch trace",
                                                                 "args": {"interval_ms": self.INTERVAL_MS}}))
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def ask(self, op, **arguments):
        command, _, body = self.control.call(2, op, arguments)
        assert command == protocol.REPLY, body

    def read(self):
        try:
            command = protocol.EVENT
            while command == protocol.EVENT:
                command, payload = self.connection.receive_raw_frame()
                self.frames.append(payload)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def stop(self):
        """Ends it; returns the events, and how many of them were lost."""
        self.ask("trace", action="off")
        self.ask("sleep", ms=10 * self.INTERVAL_MS)  # what there is, is sent
        self.connection.send(protocol.request(protocol.CANCEL, 3, {"id": 1}))
        self.thread.join()
        self.connection.close()
        self.control.close()
        if self.error is not None:
            raise self.error
        events, lost = [], 0
        for frame in self.frames[:-1]:  # the last one says that it was cancelled
            body = protocol.cbor_decode(frame[4:])
            lost += body.get("lost", 0)
            events += body["events"]
        return sorted(events, key=lambda event: event["time_ns"]), lost
