# A client of the bus API in another language: jeepney, from Debian.
import sys
from jeepney import DBusAddress, MessageType, new_method_call
from jeepney.io.blocking import open_dbus_connection

ROOT = '/io/rkt/Rkt1'
MANAGER = 'io.rkt.Rkt1.Manager'
connection = open_dbus_connection(bus='SYSTEM')


def message(method, signature=None, *args, path=ROOT, interface=MANAGER):
    address = DBusAddress(path, bus_name='io.rkt.Rkt1', interface=interface)
    return new_method_call(address, method, signature, args)


def call(method, signature=None, *args, path=ROOT, interface=MANAGER):
    reply = connection.send_and_get_reply(message(method, signature, *args, path=path, interface=interface), timeout=60)
    if reply.header.message_type == MessageType.error:
        return reply.header.fields[4] if 4 in reply.header.fields else reply.header.fields
    return reply.body
