import { expect, test } from 'vitest';
import { signForS3 } from '../../../src/http/aws.ts';

const credentials = {
  type: 'aws',
  accessKeyID: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
} as const;
const date = new Date('2013-05-24T00:00:00Z');

function signature(address: string, awsRegion?: string): string | undefined {
  return signForS3('GET', new URL(address), { ...credentials, awsRegion }, date)['authorization'];
}

test.each([
  ['?lifecycle', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
  ['?max-keys=2&prefix=J', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
])('the examples of the S3 reference are signed as there: %s', (query, expected) => {
  expect(signature(`https://examplebucket.s3.amazonaws.com/${query}`)).toBe(
    `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=${expected}`,
  );
});

test.each([
  ['s3-eu-west-1.amazonaws.com', 'eu-west-1'],
  ['b.s3.eu-west-1.amazonaws.com', 'eu-west-1'],
  ['s3.amazonaws.com', 'us-east-1'],
  ['minio.example.com', 'us-east-1'],
])('the region of %s is %s', (host, region) => {
  expect(signature(`https://${host}/x`)).toContain(`/${region}/s3/`);
});

test('a configured region wins', () => {
  expect(signature('https://s3-eu-west-1.amazonaws.com/x', 'eu-north-1')).toContain('/eu-north-1/');
});

test('a path is signed as it is sent, whichever way it was written', () => {
  expect(signature('https://s3.amazonaws.com/b/a%2Bb~c')).toBe(
    signature('https://s3.amazonaws.com/b/a+b%7Ec'),
  );
});
