/** The part of npm:pg that is used, as types; the package itself is loaded by who connects. */

export interface Connection {
  readonly stream: {
    write(bytes: Uint8Array, done: () => void): boolean;
    readonly connecting: boolean;
    readonly closed: boolean;
    once(event: "connect" | "close", listener: () => void): void;
    destroy(error?: Error): void;
  };
  query(text: string): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
}

export interface Submittable {
  submit(connection: Connection): void;
}

export interface QueryResult<R = Record<string, unknown>> {
  readonly rows: R[];
  readonly rowCount: number | null;
  readonly command: string;
}

export interface Client {
  readonly connection: Connection;
  readonly processID: number | null;
  connect(): Promise<unknown>;
  query<S extends Submittable>(query: S): S;
  query<R>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>>;
  end(): Promise<void>;
  on(event: "error", listener: (error: Error) => void): void;
  on(event: "end", listener: () => void): void;
}

export interface ClientOptions {
  host: string;
  port: number;
  user: string;
  database: string;
  password: () => string;
  ssl: false | {
    rejectUnauthorized: boolean;
    ca?: string;
    cert?: string;
    key?: string;
    checkServerIdentity?: () => undefined;
  };
  application_name: string;
  options?: string;
  connectionTimeoutMillis: number;
  keepAlive: boolean;
}

export type ClientClass = new (options: ClientOptions) => Client;
