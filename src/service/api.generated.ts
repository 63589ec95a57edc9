// Made from dbus/io.rkt.Rkt1.xml by packaging/bus-api.mjs: change that, and run it again.
import type { Dictionary, InterfaceSpec } from './spec.ts';

/** What the methods of io.rkt.Rkt1.Manager take and give. */
export interface ManagerMethods {
  readonly ListPods: { readonly in: { readonly options: Dictionary }; readonly out: { readonly pods: readonly { readonly uuid: string; readonly state: string; readonly created: number; readonly more: Dictionary; readonly object: string }[] } };
  readonly GetPod: { readonly in: { readonly uuid: string }; readonly out: { readonly object: string } };
  readonly PreparePod: { readonly in: { readonly manifest: string; readonly images: readonly string[]; readonly options: Dictionary }; readonly out: { readonly uuid: string; readonly object: string } };
  readonly RunPod: { readonly in: { readonly manifest: string; readonly images: readonly string[]; readonly options: Dictionary }; readonly out: { readonly uuid: string; readonly object: string } };
  readonly StopPod: { readonly in: { readonly uuid: string; readonly options: Dictionary }; readonly out: Record<never, never> };
  readonly KillPod: { readonly in: { readonly uuid: string; readonly whom: string; readonly signal: number }; readonly out: Record<never, never> };
  readonly RemovePod: { readonly in: { readonly uuid: string; readonly options: Dictionary }; readonly out: Record<never, never> };
  readonly ListImages: { readonly in: { readonly options: Dictionary }; readonly out: { readonly images: readonly { readonly id: string; readonly name: string; readonly imported: number; readonly size: number; readonly more: Dictionary; readonly object: string }[] } };
  readonly GetImage: { readonly in: { readonly image: string }; readonly out: { readonly object: string } };
  readonly Fetch: { readonly in: { readonly image: string; readonly options: Dictionary }; readonly out: { readonly id: number; readonly object: string } };
  readonly RemoveImage: { readonly in: { readonly image: string; readonly options: Dictionary }; readonly out: Record<never, never> };
  readonly ListKeys: { readonly in: { readonly options: Dictionary }; readonly out: { readonly keys: readonly { readonly prefix: string; readonly fingerprint: string; readonly path: string; readonly more: Dictionary }[] } };
  readonly TrustKey: { readonly in: { readonly prefix: string; readonly key: string; readonly options: Dictionary }; readonly out: { readonly fingerprints: readonly string[] } };
  readonly UntrustKey: { readonly in: { readonly prefix: string; readonly fingerprint: string; readonly options: Dictionary }; readonly out: Record<never, never> };
  readonly CollectGarbage: { readonly in: { readonly options: Dictionary }; readonly out: { readonly id: number; readonly object: string } };
  readonly ListTransfers: { readonly in: { readonly options: Dictionary }; readonly out: { readonly transfers: readonly { readonly id: number; readonly type: string; readonly subject: string; readonly progress: number; readonly more: Dictionary; readonly object: string }[] } };
  readonly CancelTransfer: { readonly in: { readonly id: number }; readonly out: Record<never, never> };
}

/** The properties of io.rkt.Rkt1.Manager. */
export interface ManagerProperties {
  readonly Version: string;
}

/** What the methods of io.rkt.Rkt1.Pod take and give. */
export interface PodMethods {
  readonly GetManifest: { readonly in: Record<never, never>; readonly out: { readonly manifest: string } };
  readonly Stop: { readonly in: { readonly options: Dictionary }; readonly out: Record<never, never> };
  readonly Kill: { readonly in: { readonly whom: string; readonly signal: number }; readonly out: Record<never, never> };
  readonly Remove: { readonly in: { readonly options: Dictionary }; readonly out: Record<never, never> };
}

/** The properties of io.rkt.Rkt1.Pod. */
export interface PodProperties {
  readonly UUID: string;
  readonly State: string;
  readonly Apps: readonly { readonly name: string; readonly image: string; readonly state: string; readonly status: number; readonly more: Dictionary }[];
  readonly Unit: string;
  readonly Leader: number;
  readonly Addresses: readonly { readonly network: string; readonly address: string }[];
  readonly CreatedTimestamp: number;
  readonly StartedTimestamp: number;
  readonly ExitedTimestamp: number;
}

/** What the methods of io.rkt.Rkt1.Image take and give. */
export interface ImageMethods {
  readonly GetManifest: { readonly in: Record<never, never>; readonly out: { readonly manifest: string } };
  readonly Remove: { readonly in: { readonly options: Dictionary }; readonly out: Record<never, never> };
}

/** The properties of io.rkt.Rkt1.Image. */
export interface ImageProperties {
  readonly ID: string;
  readonly Name: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Size: number;
  readonly ImportTimestamp: number;
  readonly LastUsedTimestamp: number;
}

/** What the methods of io.rkt.Rkt1.Transfer take and give. */
export interface TransferMethods {
  readonly Cancel: { readonly in: Record<never, never>; readonly out: Record<never, never> };
}

/** The properties of io.rkt.Rkt1.Transfer. */
export interface TransferProperties {
  readonly Id: number;
  readonly Type: string;
  readonly Subject: string;
  readonly Progress: number;
  readonly Rate: number;
}

export const API: readonly InterfaceSpec[] = [
  {
    "name": "io.rkt.Rkt1.Manager",
    "doc": "Everything that rkt knows, at /io/rkt/Rkt1, where org.freedesktop.DBus.ObjectManager is too: its GetManagedObjects needs io.rkt.Rkt1.inspect.",
    "methods": [
      {
        "name": "ListPods",
        "doc": "The pods, in every state. Option: states (as): only those in one of these states, see State of a pod.",
        "action": "io.rkt.Rkt1.inspect",
        "group": true,
        "in": [
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": [
          {
            "name": "pods",
            "type": "a(ssta{sv}o)",
            "fields": [
              "uuid",
              "state",
              "created",
              "more",
              "object"
            ],
            "doc": "created is in microseconds since 1970; more: apps (as), images (as), addresses (as: NETWORK=ADDRESS), unit (s)."
          }
        ]
      },
      {
        "name": "GetPod",
        "doc": "The object of a pod, by its UUID or an unambiguous beginning of it.",
        "action": "io.rkt.Rkt1.inspect",
        "group": true,
        "in": [
          {
            "name": "uuid",
            "type": "s"
          }
        ],
        "out": [
          {
            "name": "object",
            "type": "o"
          }
        ]
      },
      {
        "name": "PreparePod",
        "doc": "Prepares a pod; what it needs of images is fetched. Either manifest is a pod manifest (JSON, as for --pod-manifest), or images are the references of its apps. Options: volume, mount, port, set-env (as), no-overlay (b), pull-policy, stage1-name, name (s), insecure-options (as), arguments (aas: those of each app).",
        "action": "io.rkt.Rkt1.run-pod",
        "in": [
          {
            "name": "manifest",
            "type": "s"
          },
          {
            "name": "images",
            "type": "as"
          },
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": [
          {
            "name": "uuid",
            "type": "s"
          },
          {
            "name": "object",
            "type": "o"
          }
        ]
      },
      {
        "name": "RunPod",
        "doc": "Prepares a pod and starts it as the transient unit rkt-UUID.service; answers when the pod is ready; if it ends before that the error names the pod, and its exit or the reason. Options as for PreparePod, and net, dns, dns-search, dns-opt, hosts-entry (as), dns-domain, hostname (s), mds-register (b); pod (s): the UUID of a prepared pod, instead of manifest and images.",
        "action": "io.rkt.Rkt1.run-pod",
        "in": [
          {
            "name": "manifest",
            "type": "s"
          },
          {
            "name": "images",
            "type": "as"
          },
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": [
          {
            "name": "uuid",
            "type": "s"
          },
          {
            "name": "object",
            "type": "o"
          }
        ]
      },
      {
        "name": "StopPod",
        "doc": "Stops a pod in order. Options: timeout (t, microseconds) until its apps are killed, force (b): kill at once.",
        "action": "io.rkt.Rkt1.manage-pods",
        "in": [
          {
            "name": "uuid",
            "type": "s"
          },
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": []
      },
      {
        "name": "KillPod",
        "doc": "Sends a signal to a pod that systemd-machined knows. whom: leader, which is PID 1 of the pod, or all; signal is a number.",
        "action": "io.rkt.Rkt1.manage-pods",
        "in": [
          {
            "name": "uuid",
            "type": "s"
          },
          {
            "name": "whom",
            "type": "s"
          },
          {
            "name": "signal",
            "type": "i"
          }
        ],
        "out": []
      },
      {
        "name": "RemovePod",
        "doc": "Removes a pod that does not run.",
        "action": "io.rkt.Rkt1.manage-pods",
        "in": [
          {
            "name": "uuid",
            "type": "s"
          },
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": []
      },
      {
        "name": "ListImages",
        "doc": "The images in the store.",
        "action": "io.rkt.Rkt1.inspect",
        "group": true,
        "in": [
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": [
          {
            "name": "images",
            "type": "a(sstta{sv}o)",
            "fields": [
              "id",
              "name",
              "imported",
              "size",
              "more",
              "object"
            ],
            "doc": "imported is in microseconds since 1970, size in bytes; more: last-used (t), labels (a{ss})."
          }
        ]
      },
      {
        "name": "GetImage",
        "doc": "The object of an image, by its ID, an unambiguous beginning of it, or its name.",
        "action": "io.rkt.Rkt1.inspect",
        "group": true,
        "in": [
          {
            "name": "image",
            "type": "s"
          }
        ],
        "out": [
          {
            "name": "object",
            "type": "o"
          }
        ]
      },
      {
        "name": "Fetch",
        "doc": "Fetches, verifies and stores an image; answers at once. Images are named or have a URL, files are refused. Options: pull-policy (s); insecure-options (as), for which the caller needs io.rkt.Rkt1.manage-trust too.",
        "action": "io.rkt.Rkt1.fetch",
        "group": true,
        "in": [
          {
            "name": "image",
            "type": "s"
          },
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": [
          {
            "name": "id",
            "type": "t"
          },
          {
            "name": "object",
            "type": "o"
          }
        ]
      },
      {
        "name": "RemoveImage",
        "doc": "Removes an image from the store. What pods use of it stays as long as they are there.",
        "action": "io.rkt.Rkt1.manage-images",
        "in": [
          {
            "name": "image",
            "type": "s"
          },
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": []
      },
      {
        "name": "ListKeys",
        "doc": "The keys that images are trusted by.",
        "action": "io.rkt.Rkt1.inspect",
        "group": true,
        "in": [
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": [
          {
            "name": "keys",
            "type": "a(sssa{sv})",
            "fields": [
              "prefix",
              "fingerprint",
              "path",
              "more"
            ],
            "doc": "prefix is empty for keys that hold for every image; more: identities (as), masked (b): it does not count, since another file takes its place."
          }
        ]
      },
      {
        "name": "TrustKey",
        "doc": "Trusts OpenPGP public keys (armored text) for images whose names begin with prefix; an empty prefix stands for all.",
        "action": "io.rkt.Rkt1.manage-trust",
        "in": [
          {
            "name": "prefix",
            "type": "s"
          },
          {
            "name": "key",
            "type": "s"
          },
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": [
          {
            "name": "fingerprints",
            "type": "as"
          }
        ]
      },
      {
        "name": "UntrustKey",
        "doc": "Trusts a key no longer for a prefix.",
        "action": "io.rkt.Rkt1.manage-trust",
        "in": [
          {
            "name": "prefix",
            "type": "s"
          },
          {
            "name": "fingerprint",
            "type": "s"
          },
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": []
      },
      {
        "name": "CollectGarbage",
        "doc": "Removes what ended pods left; answers at once. Options: grace-period, expire-prepared (t, microseconds).",
        "action": "io.rkt.Rkt1.manage-pods",
        "group": true,
        "in": [
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": [
          {
            "name": "id",
            "type": "t"
          },
          {
            "name": "object",
            "type": "o"
          }
        ]
      },
      {
        "name": "ListTransfers",
        "doc": "What goes on at the moment: fetches and collections of garbage.",
        "action": "io.rkt.Rkt1.inspect",
        "group": true,
        "in": [
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": [
          {
            "name": "transfers",
            "type": "a(tssda{sv}o)",
            "fields": [
              "id",
              "type",
              "subject",
              "progress",
              "more",
              "object"
            ],
            "doc": "type is fetch or gc, subject the image, progress from 0 to 1; more: rate (t), bytes per second."
          }
        ]
      },
      {
        "name": "CancelTransfer",
        "doc": "Ends a transfer. What it has downloaded is kept for the next one. For a collection of garbage the caller needs io.rkt.Rkt1.manage-pods too.",
        "action": "io.rkt.Rkt1.fetch",
        "group": true,
        "in": [
          {
            "name": "id",
            "type": "t"
          }
        ],
        "out": []
      }
    ],
    "signals": [
      {
        "name": "PodNew",
        "doc": "A pod is there.",
        "args": [
          {
            "name": "uuid",
            "type": "s"
          },
          {
            "name": "object",
            "type": "o"
          }
        ]
      },
      {
        "name": "PodRemoved",
        "doc": "A pod is gone.",
        "args": [
          {
            "name": "uuid",
            "type": "s"
          },
          {
            "name": "object",
            "type": "o"
          }
        ]
      },
      {
        "name": "ImageNew",
        "doc": "An image is in the store.",
        "args": [
          {
            "name": "id",
            "type": "s"
          },
          {
            "name": "object",
            "type": "o"
          }
        ]
      },
      {
        "name": "ImageRemoved",
        "doc": "An image is gone from the store.",
        "args": [
          {
            "name": "id",
            "type": "s"
          },
          {
            "name": "object",
            "type": "o"
          }
        ]
      },
      {
        "name": "TransferNew",
        "doc": "A transfer has begun.",
        "args": [
          {
            "name": "id",
            "type": "t"
          },
          {
            "name": "object",
            "type": "o"
          }
        ]
      },
      {
        "name": "TransferRemoved",
        "doc": "A transfer has ended; result is done, canceled or failed.",
        "args": [
          {
            "name": "id",
            "type": "t"
          },
          {
            "name": "object",
            "type": "o"
          },
          {
            "name": "result",
            "type": "s"
          }
        ]
      }
    ],
    "properties": [
      {
        "name": "Version",
        "type": "s",
        "doc": "The version of rkt, as rkt version prints it.",
        "emits": "const"
      }
    ]
  },
  {
    "name": "io.rkt.Rkt1.Pod",
    "doc": "A pod, at /io/rkt/Rkt1/pod/UUID, where each - of the UUID is a _. Its properties need io.rkt.Rkt1.inspect.",
    "methods": [
      {
        "name": "GetManifest",
        "doc": "The pod manifest, as JSON.",
        "action": "io.rkt.Rkt1.inspect",
        "group": true,
        "in": [],
        "out": [
          {
            "name": "manifest",
            "type": "s"
          }
        ]
      },
      {
        "name": "Stop",
        "doc": "StopPod of the manager for this pod.",
        "action": "io.rkt.Rkt1.manage-pods",
        "in": [
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": []
      },
      {
        "name": "Kill",
        "doc": "KillPod of the manager for this pod.",
        "action": "io.rkt.Rkt1.manage-pods",
        "in": [
          {
            "name": "whom",
            "type": "s"
          },
          {
            "name": "signal",
            "type": "i"
          }
        ],
        "out": []
      },
      {
        "name": "Remove",
        "doc": "RemovePod of the manager for this pod.",
        "action": "io.rkt.Rkt1.manage-pods",
        "in": [
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": []
      }
    ],
    "signals": [],
    "properties": [
      {
        "name": "UUID",
        "type": "s",
        "doc": "The UUID.",
        "emits": "const"
      },
      {
        "name": "State",
        "type": "s",
        "doc": "preparing, aborted prepare, prepared, running, exited, exited deleting or exited garbage.",
        "emits": "true"
      },
      {
        "name": "Apps",
        "type": "a(sssia{sv})",
        "fields": [
          "name",
          "image",
          "state",
          "status",
          "more"
        ],
        "doc": "image is an ID; state is created, running, exited or unknown; status what the app ended with, -1 before that; more: image-name (s), signal (t) that has ended it.",
        "emits": "true"
      },
      {
        "name": "Unit",
        "type": "s",
        "doc": "The unit of systemd that the pod runs in, or empty.",
        "emits": "true"
      },
      {
        "name": "Leader",
        "type": "u",
        "doc": "PID 1 of the pod, or 0.",
        "emits": "true"
      },
      {
        "name": "Addresses",
        "type": "a(ss)",
        "fields": [
          "network",
          "address"
        ],
        "doc": "The addresses in each network that it has joined.",
        "emits": "true"
      },
      {
        "name": "CreatedTimestamp",
        "type": "t",
        "doc": "When it was made, in microseconds since 1970, as in all timestamps.",
        "emits": "const"
      },
      {
        "name": "StartedTimestamp",
        "type": "t",
        "doc": "When it was started, or 0.",
        "emits": "true"
      },
      {
        "name": "ExitedTimestamp",
        "type": "t",
        "doc": "When the last of its apps has ended, or 0.",
        "emits": "true"
      }
    ]
  },
  {
    "name": "io.rkt.Rkt1.Image",
    "doc": "An image, at /io/rkt/Rkt1/image/ID, where the - of the ID is a _. Its properties need io.rkt.Rkt1.inspect.",
    "methods": [
      {
        "name": "GetManifest",
        "doc": "The image manifest, as JSON.",
        "action": "io.rkt.Rkt1.inspect",
        "group": true,
        "in": [],
        "out": [
          {
            "name": "manifest",
            "type": "s"
          }
        ]
      },
      {
        "name": "Remove",
        "doc": "RemoveImage of the manager for this image.",
        "action": "io.rkt.Rkt1.manage-images",
        "in": [
          {
            "name": "options",
            "type": "a{sv}"
          }
        ],
        "out": []
      }
    ],
    "signals": [],
    "properties": [
      {
        "name": "ID",
        "type": "s",
        "doc": "sha512- and 64 hexadecimal digits.",
        "emits": "const"
      },
      {
        "name": "Name",
        "type": "s",
        "doc": "The name, without labels.",
        "emits": "const"
      },
      {
        "name": "Labels",
        "type": "a{ss}",
        "doc": "The labels, version, os and arch among them.",
        "emits": "const"
      },
      {
        "name": "Size",
        "type": "t",
        "doc": "Bytes of the image as received and of its unpacked trees.",
        "emits": "const"
      },
      {
        "name": "ImportTimestamp",
        "type": "t",
        "doc": "When it came, in microseconds since 1970.",
        "emits": "const"
      },
      {
        "name": "LastUsedTimestamp",
        "type": "t",
        "doc": "When it was fetched or run last, in microseconds since 1970.",
        "emits": "false"
      }
    ]
  },
  {
    "name": "io.rkt.Rkt1.Transfer",
    "doc": "A fetch or a collection of garbage, at /io/rkt/Rkt1/transfer/ID; gone when it has ended.",
    "methods": [
      {
        "name": "Cancel",
        "doc": "CancelTransfer of the manager for this transfer.",
        "action": "io.rkt.Rkt1.fetch",
        "group": true,
        "in": [],
        "out": []
      }
    ],
    "signals": [
      {
        "name": "LogMessage",
        "doc": "A line of what the worker prints; priority as in syslog(3).",
        "args": [
          {
            "name": "priority",
            "type": "u"
          },
          {
            "name": "line",
            "type": "s"
          }
        ]
      },
      {
        "name": "Finished",
        "doc": "result is done, canceled or failed; details: image (s): the ID of the fetched image, or message (s): why it has failed.",
        "args": [
          {
            "name": "result",
            "type": "s"
          },
          {
            "name": "details",
            "type": "a{sv}"
          }
        ]
      }
    ],
    "properties": [
      {
        "name": "Id",
        "type": "t",
        "doc": "The number.",
        "emits": "const"
      },
      {
        "name": "Type",
        "type": "s",
        "doc": "fetch or gc.",
        "emits": "const"
      },
      {
        "name": "Subject",
        "type": "s",
        "doc": "The image that is fetched, as the caller named it.",
        "emits": "const"
      },
      {
        "name": "Progress",
        "type": "d",
        "doc": "From 0 to 1; changes at most ten times a second.",
        "emits": "true"
      },
      {
        "name": "Rate",
        "type": "t",
        "doc": "Bytes per second, 0 while nothing is downloaded.",
        "emits": "true"
      }
    ]
  }
];
