# After client.py: calls everything that introspection tells of with what it does not expect, as
# dfuzzer does, and writes to the bus what is no message at all. Prints what was answered wrongly.
import json, os, random, re, socket
import xml.etree.ElementTree as ET
from jeepney import Endianness, HeaderFields
from jeepney.bus import get_bus
from jeepney.io.blocking import prep_socket

random.seed(1)
PROPERTIES = 'org.freedesktop.DBus.Properties'
# What these do takes a worker, or a while.
SLOW = {'RunPod', 'PreparePod', 'TrustKey', 'UntrustKey', 'RemoveImage', 'RemovePod', 'CollectGarbage', 'Fetch'}
# Anybody may know these.
OPEN = {'Ping', 'GetMachineId', 'Introspect'}
STRINGS = [
    '', ' ', '-', '--debug', '--', '---', '../../../etc/shadow', '/etc/shadow', 'a\nb', 'a\rb\x1b[2J', '%s%n%p',
    '\u202e\U0001f600', '\ufffe', '{}', '[]', 'null', '__proto__', 'constructor', 'toString', 'x' * 100_000, 'ü' * 5000,
    'docker://', 'http://[', 'https://localhost:1/x', 'example.org/x:' + 'y' * 300, 'sha512-', 'sha512-' + '0' * 64,
    'ffffffff-ffff-ffff-ffff-ffffffffffff', '*', "'; touch /tmp/pwned; '", '$(touch /tmp/pwned)',
]
NAMES = [
    'states', 'volume', 'mount', 'port', 'set-env', 'no-overlay', 'pull-policy', 'stage1-name', 'name', 'arguments',
    'net', 'dns', 'hostname', 'mds-register', 'pod', 'timeout', 'force', 'grace-period', '__proto__', 'constructor', '',
]
WRONG = ['', 's', 'o', 'u', 't', 'd', 'b', 'ay', 'as', 'v', 'a{sv}', '(ss)', 'a(ssta{sv}o)', 'g', 'aaaaas', 'sssssss', 'a{s(iv)}']
RANGES = {'y': (0, 2**8 - 1), 'n': (-2**15, 2**15 - 1), 'q': (0, 2**16 - 1), 'i': (-2**31, 2**31 - 1),
          'u': (0, 2**32 - 1), 'x': (-2**63, 2**63 - 1), 't': (0, 2**64 - 1)}
PATHS = ['/', '/io', ROOT + '/pod', ROOT + '/pod/_', ROOT + '/pod/' + '_' * 2000, ROOT + '/image/sha512_' + '0' * 64,
         ROOT + '/transfer/0', ROOT + '/transfer/9999999999999', ROOT + '/__proto__', ROOT + '/pod/x/y', '/__proto__']


def split(signature):
    """The complete types of a signature."""
    while signature:
        end = re.match('a*', signature).end()
        depth = 0
        while True:
            depth += {'(': 1, '{': 1, ')': -1, '}': -1}.get(signature[end], 0)
            end += 1
            if depth == 0: break
        yield signature[:end]
        signature = signature[end:]


def value(kind, depth=0):
    if kind in 'so': return random.choice(STRINGS) if kind == 's' else random.choice(PATHS)
    if kind == 'b': return random.random() < 0.5
    if kind == 'd': return random.choice([0.0, -1.5, 1e308, float('inf'), float('nan')])
    if kind == 'g': return random.choice(['', 's', 'a{sv}'])
    if kind in RANGES: return random.choice([*RANGES[kind], 0, 1, random.randint(*RANGES[kind])])
    if kind == 'v':
        inner = random.choice(['s', 'as', 'b', 't', 'd'] + (['v', 'a{sv}', 'aas', '(sv)'] if depth < 8 else []))
        return inner, value(inner, depth + 1)
    if kind == 'ay': return os.urandom(random.choice([0, 3, 100_000]))
    if kind.startswith('a{'):
        key, *rest = split(kind[2:-1])
        names = random.sample(NAMES, random.randint(0, 3)) if key == 's' else []
        return {name: value(rest[0], depth + 1) for name in names}
    if kind.startswith('a'): return [value(kind[1:], depth + 1) for _ in range(random.randint(0, 3))]
    return tuple(value(each, depth + 1) for each in split(kind[1:-1]))


def tell(what, problem):
    print(f'{what}: {problem}'[:500])


def check(what, request):
    """Sends a call, whose answer has to be a plain one."""
    reply = connection.send_and_get_reply(request, timeout=120)
    if reply.header.message_type == MessageType.method_return:
        open = request.header.fields[HeaderFields.member] in OPEN or 'Version' in f'{request.body}{reply.body}'
        if os.getuid() != 0 and not open and reply.body != ({},): tell(what, f'{reply.body} for somebody who may not')
        return reply
    name = reply.header.fields.get(HeaderFields.error_name, '')
    if not re.fullmatch(r'(io\.rkt\.Rkt1|org\.freedesktop\.DBus)\.Error\.\w+', name): tell(what, f'error {name}')
    if name.endswith(('NoReply', 'ServiceUnknown', 'TimedOut', 'Disconnected')): tell(what, f'error {name}')
    check_text(what, reply.body[0] if reply.body else '')
    return reply


def check_text(what, text):
    """An error is one line for its reader, without a word of how we are built."""
    if re.search(r'[\n\r\x1b]|\bat \S+:\d+|\.[cm]?[jt]s\b|node:|TypeError|RangeError|undefined|not a function', text): tell(what, text)
    if len(text) > 2000: tell(what, f'an error of {len(text)} characters')


def members(path):
    """The methods and properties of an object, as it describes them."""
    reply = check('Introspect', message('Introspect', path=path, interface='org.freedesktop.DBus.Introspectable'))
    for interface in ET.fromstring(reply.body[0]).iter('interface'):
        for method in interface.iter('method'):
            args = [arg.get('type') for arg in method.iter('arg') if arg.get('direction') == 'in']
            yield interface.get('name'), method.get('name'), ''.join(args)
        for each in interface.iter('property'):
            yield interface.get('name'), each.get('name'), None


def fuzz(path):
    for interface, member, signature in members(path):
        where = f'{path} {interface}.{member}'
        if signature is None:
            for words in [('Get', 'ss', interface, member), ('Set', 'ssv', interface, member, ('s', 'x')), ('Get', 'ss', member, interface)]:
                check(where, message(*words, path=path, interface=PROPERTIES))
            continue
        ask = lambda kind, at=path, under=interface: check(
            f'{where} ({kind}) at {at[:80]}', message(member, kind or None, *[value(each) for each in split(kind)], path=at, interface=under))
        for kind in WRONG:
            if kind != signature: ask(kind)
        for _ in range(6 if member in SLOW or os.getuid() != 0 else 30): ask(signature)
        for odd in PATHS: ask(signature, odd)
        ask(signature, path, 'io.rkt.Rkt1.Manager')
        ask(signature, path, 'io.rkt.Rkt1.Transfer')


def odd_headers(path):
    """What a call may say in its header: no interface, another byte order, no wish for an answer, bits that mean nothing."""
    for fields in [{}, {'order': Endianness.big}, {'flags': 1}, {'flags': 4}, {'flags': 0xf8}]:
        for member, kind in [('Introspect', ''), ('GetAll', 's'), ('ListPods', 'a{sv}'), ('Explode', 'v')]:
            request = message(member, kind or None, *[value(each) for each in split(kind)], path=path)
            del request.header.fields[HeaderFields.interface]
            request.header.endianness = fields.get('order', Endianness.little)
            request.header.flags = fields.get('flags', 0)
            if request.header.flags & 1: connection.send(request)
            else: check(f'{path} {member} with {fields}', request)


def malformed(count):
    """Messages with bytes changed. What of them the bus lets through, the helper has to bear."""
    whole = [
        message('ListPods', 'a{sv}', {'states': ('as', ['running', 'exited'])}).serialise(2),
        message('GetPod', 's', 'ffffffff-ffff').serialise(2),
        message('Get', 'ss', MANAGER, 'Version', interface=PROPERTIES).serialise(2),
        message('Introspect', interface='org.freedesktop.DBus.Introspectable').serialise(2),
    ]
    for _ in range(count):
        raw = bytearray(random.choice(whole))
        for _ in range(random.randint(1, 3)): raw[random.randrange(len(raw))] = random.choice([0, 1, 255, random.randrange(256)])
        if random.random() < 0.2: del raw[random.randrange(len(raw)):]
        with open_dbus_connection(bus='SYSTEM') as other:
            try:
                other.sock.sendall(bytes(raw))
                other.sock.shutdown(socket.SHUT_WR)
                while other.sock.recv(65536): pass
            except OSError: pass


def nested(depth):
    body = ('s', 'x')
    for _ in range(depth): body = ('v', body)
    return body


def huge():
    for words in [('GetPod', 's', 'z' * 20_000_000), ('Introspect', 'ay', bytes(20_000_000)), ('Introspect', 'as', ['x'] * 500_000),
                  ('Explode', 'v', nested(58)), ('ListPods', 'a{sv}', {'states': nested(50)}), ('ListPods', 'a{sv}', {str(at): ('b', True) for at in range(50_000)})]:
        check(f'a huge {words[0]}', message(*words))


def json_value(depth=0):
    kinds = [random.choice(STRINGS), random.choice([0, -1, 1.5, 1e308, 2**63, 2**64]), True, None]
    if depth < 4:
        kinds += [[json_value(depth + 1) for _ in range(random.randint(0, 3))],
                  {random.choice(NAMES): json_value(depth + 1) for _ in range(random.randint(0, 3))}]
    return random.choice(kinds)


def converse(data):
    """What the helper answers to these bytes before it hangs up."""
    answers = b''
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(60)
        other.connect('/run/rkt/io.rkt.Rkt1')
        try:
            other.sendall(data)
            other.shutdown(socket.SHUT_WR)
            while part := other.recv(1 << 20): answers += part
        except ConnectionError: pass
    return answers


def varlink():
    info = json.dumps({'method': 'org.varlink.service.GetInterfaceDescription', 'parameters': {'interface': 'io.rkt.Rkt1'}})
    description = json.loads(converse(info.encode() + b'\0')[:-1])['parameters']['description']
    methods = re.findall(r'^method (\w+)\((.*?)\) ->', description, re.MULTILINE)
    if len(methods) < 20: tell('the description', description)
    for method, given in methods:
        names = re.findall(r'(\w+): ', given) + NAMES
        for _ in range(2 if method in SLOW else 12):
            parameters = {name: json_value() for name in random.sample(names, random.randint(0, 3))}
            call = {'method': 'io.rkt.Rkt1.' + method, 'parameters': parameters, 'more': random.random() < 0.5}
            what = json.dumps(call)[:200]
            answers = converse(json.dumps(call).encode() + b'\0').split(b'\0')[:-1]
            if not answers: tell(what, 'no answer')
            for each in map(json.loads, answers):
                if not re.fullmatch(r'io\.rkt\.Rkt1\.\w+|org\.varlink\.service\.\w+|', each.get('error', '')): tell(what, each)
                if 'error' in each: check_text(what, str(each['parameters'].get('message', '')))
    whole = info.encode() + b'\0'
    for _ in range(200):
        raw = bytearray(whole)
        for _ in range(random.randint(1, 3)): raw[random.randrange(len(raw))] = random.randrange(256)
        converse(bytes(raw))
    deep = b'{"method":"io.rkt.Rkt1.ListPods","parameters":{"options":' + b'[' * 200_000 + b']' * 200_000 + b'}}\0'
    for raw in [b'\0', b'\0\0\0', b'\xff\xfe\0', b'{"method":"\\ud800"}\0', b'{"__proto__":{"method":"x"}}\0', b'{"method":"toString"}\0',
                b'{"method":"io.rkt.Rkt1.__proto__"}\0', b'{"method":"io.rkt.Rkt1.constructor"}\0', deep, whole * 2000]:
        converse(raw)
