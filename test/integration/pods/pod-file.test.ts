import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Box } from './box.ts';
import { BOX } from './image.ts';

const box = new Box();

test.each([
  ['port=nope:8080', ':3: port: port name "nope" could not be found in any apps'],
  ['set-env-file=/nowhere', ': cannot read environment file /nowhere'],
])('what shows only with the image at hand is told with the file, as for %s', async (line, why) => {
  const path = `${box.folder()}/x.pod`;
  writeFileSync(path, `[Pod]\nipc=private\n${line}\n[App a]\nimage=${BOX}\n`);
  const { code, stderr } = await box.local.rkt(['run-pod-file', path]);
  expect({ code, stderr }).toEqual({ code: 254, stderr: expect.stringContaining(path + why) });
});
